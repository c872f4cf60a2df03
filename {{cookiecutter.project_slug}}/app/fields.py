"""Schema fields that are stricter than marshmallow's, which read a number out of a text and a one out of true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields


class Input(Schema):
    """Base of every schema that callers fill in; what it does not name is refused, and the specification says so."""

    class Meta:
        """Spelled out, since the specification is silent about the default."""

        unknown = RAISE


class Number(fields.Float):
    """A JSON number, neither text nor true nor false, and finite."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, (bool, str)):
            raise self.make_error("invalid", input=value)
        result: float = super()._validated(value)
        return result


class Whole(fields.Integer):
    """A JSON number without a fraction, also where it is written as 5.0; neither text nor true nor false."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, str) or (isinstance(value, float) and not value.is_integer()):
            raise self.make_error("invalid", input=value)
        result: int = super()._validated(value)
        return result


class Flag(fields.Boolean):
    """A JSON true or false, and no word or number that could stand for one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        del attr, data, kwargs
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class PlainText(fields.String):
    """A text without control characters, which PostgreSQL (NUL) and terminals (escape) would stumble over."""

    PATTERN = r"^[^\u0000-\u001f]*$"  # for the specification, in JavaScript's dialect

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(metadata={"pattern": self.PATTERN, **(metadata or {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text):  # noqa: PLR2004
            raise ValidationError("Must not hold control characters.")
        return text


class PastTime(fields.AwareDateTime):
    """An ISO 8601 time, UTC where it names no zone, neither in the future nor before 2000."""

    EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
    SKEW = timedelta(seconds=60)  # how far a device's clock may be ahead of ours

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise self.make_error("invalid", input=value, obj_type="datetime")
        try:
            time: datetime = super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type="datetime") from None
        if time > datetime.now(UTC) + self.SKEW:
            raise ValidationError("Must not be in the future.")
        if time < self.EARLIEST:
            raise ValidationError("Must not be before 2000-01-01.")
        return time
