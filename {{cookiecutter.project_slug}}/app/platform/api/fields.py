"""Strict schema fields; marshmallow's own accept `"1"` and `true` as numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, ClassVar

from flask import current_app
from marshmallow import RAISE, Schema, ValidationError, fields, validate
from marshmallow.exceptions import SCHEMA

from app.platform.components import platform_of
from app.platform.visible_text import is_readable

# RFC 3339, also with a space and without seconds or zone, as many clients write it.
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


class RequestSchema(Schema):
    """Base of every request schema; rejects unknown members, also in the specification."""

    error_messages = {"type": "Must be an object."}  # noqa: RUF012 - marshmallow declares it like this

    class Meta:
        """Set explicitly, because the specification omits the default."""

        unknown = RAISE


class BoundedList(fields.List[Any]):
    """A list whose rejection costs little: its length is checked first, and not every item after some invalid ones."""

    MAX_INVALID = 20
    PART = 20  # items that are loaded at a time: one call for each costs a batch of positions a tenth more

    def __init__(
        self,
        item: fields.Field[Any],
        minimum: int,
        maximum: int,
        *,
        checks: Sequence[Callable[[list[Any]], object]] = (),
        **kwargs: Any,
    ) -> None:
        self.maximum = maximum
        self.length = validate.Length(minimum, maximum, error=f"Must have from {minimum} to {maximum} items.")
        super().__init__(item, validate=[self.length, *checks], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        del attr, data
        if not isinstance(value, list):
            raise self.make_error("invalid")
        self.length(value)
        items: list[Any] = []
        errors: dict[Any, Any] = {}
        for start in range(0, len(value), self.PART):
            try:
                items += self._load(value[start : start + self.PART], **kwargs)
            except ValidationError as error:
                errors |= {start + int(index): messages for index, messages in error.messages_dict.items()}
                if len(errors) >= self.MAX_INVALID:
                    errors = {**self._unchecked(len(value) - start - self.PART), **errors}
                    break
        if errors:
            raise ValidationError(errors, valid_data=items)
        return items

    def _load(self, part: list[Any], **kwargs: Any) -> list[Any]:
        if isinstance(self.inner, fields.Nested):
            loaded: list[Any] = self.inner.schema.load(part, many=True)
            return loaded
        return super()._deserialize(part, None, None, **kwargs)

    @staticmethod
    def _unchecked(count: int) -> dict[Any, Any]:
        return {SCHEMA: [f"{count} more items were not checked."]} if count > 0 else {}


def max_text_length(field: fields.Field[Any]) -> int | None:
    """Return the most characters that the field accepts; None if it has no limit."""
    limits = [check.max for check in field.validators if isinstance(check, validate.Length) and check.max]
    return min(limits, default=None)


class StrictFloat(fields.Float):
    """A finite JSON number; rejects strings and booleans."""

    def _validated(self, value: Any) -> float:
        if type(value) is float and isfinite(value):  # the usual case, which a batch has for each number
            return value
        if isinstance(value, (bool, str)):
            raise self.make_error("invalid", input=value)
        result: float = super()._validated(value)
        return result


class StrictInteger(fields.Integer):
    """A whole JSON number, also written as 5.0; rejects strings and booleans."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, str) or (isinstance(value, float) and not value.is_integer()):
            raise self.make_error("invalid", input=value)
        result: int = super()._validated(value)
        return result


class StrictBoolean(fields.Boolean):
    """A JSON boolean; rejects strings and numbers."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        del attr, data, kwargs
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class PlainText(fields.String):
    """A text without control characters: PostgreSQL rejects NUL and lone surrogates, terminals interpret escape."""

    # For the specification; the pattern is a JavaScript regex.
    SPECIFICATION: ClassVar[Mapping[str, Any]] = {"pattern": r"^[^\u0000-\u001f]*$"}
    FORBIDDEN = re.compile("[\x00-\x1f\ud800-\udfff]")  # control characters and surrogates

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(metadata={**self.SPECIFICATION, **(metadata or {})}, **kwargs)
        self.max_length = max_text_length(self)

    def is_too_long(self, text: str) -> bool:
        """Whether the text exceeds the limit of its length: to search it then is a waste."""
        return self.max_length is not None and len(text) > self.max_length

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if self.is_too_long(text):
            return text  # the check of the length, which runs next, rejects it
        if self.FORBIDDEN.search(text):
            raise ValidationError("Must not contain control characters.")
        return text


class VisibleText(PlainText):
    """A name that people read: characters that are invisible or reorder the text could make it look like another."""

    SPECIFICATION: ClassVar[Mapping[str, Any]] = {"format": "visible-text"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text and not self.is_too_long(text) and not is_readable(text):
            raise ValidationError("Must not be blank or contain invisible characters.")
        return text


def parse_time(text: str) -> datetime:
    """Return the time of RFC 3339; raises `ValueError` for other notations, which Python reads too."""
    if not TIME.fullmatch(text):
        raise ValueError("not a time of RFC 3339")
    return datetime.fromisoformat(text.upper())


class PastDateTime(fields.AwareDateTime):
    """An ISO 8601 time that is not in the future and not before 2000; UTC if it has no time zone."""

    default_error_messages = {"invalid": "Must be a time such as 2026-01-31T12:00:00Z (RFC 3339)."}  # noqa: RUF012 - overrides marshmallow's
    EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
    SKEW = timedelta(seconds=60)  # tolerance for clocks of devices that run ahead

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise self.make_error("invalid", input=value, obj_type="datetime")
        del attr, data, kwargs
        try:
            time = parse_time(value)
            time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise self.make_error("invalid", input=value, obj_type="datetime") from None
        if time > datetime.now(UTC) + self.SKEW:
            raise ValidationError("Must not be in the future.")
        if time < self.EARLIEST:
            raise ValidationError("Must not be before 2000-01-01.")
        return time


class Scope(fields.String):
    """The name of a scope that a feature declares; the specification lists all scopes."""

    default_error_messages = {"unknown": "Must be one of: {scopes}."}  # noqa: RUF012 - overrides marshmallow's

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        scope: str = super()._deserialize(value, attr, data, **kwargs)
        scopes = platform_of(current_app).scopes
        if scope not in scopes:
            raise self.make_error("unknown", scopes=", ".join(scopes))
        return scope
