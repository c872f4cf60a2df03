"""Lists in pages: a bounded `limit`, and a cursor that stays right while rows are added."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from marshmallow import Schema, fields, validate

DEFAULT_LIMIT = 50
MOST = 200


class Cursor(fields.Field[tuple[datetime, int]]):
    """Where the last page ended: the time and the id of its last row, as text that callers hand back unread."""

    default_error_messages = {"invalid": "Not a cursor: use the value of `next` from the page before."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[datetime, int]:
        del attr, data, kwargs
        try:
            time, number = json.loads(base64.urlsafe_b64decode(str(value) + "=" * (-len(str(value)) % 4)))
            return _aware(datetime.fromisoformat(time)), _identifier(number)
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise self.make_error("invalid") from None


def _aware(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a cursor's time has a zone")
    return time


def _identifier(number: object) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError("a cursor's id is a row's")
    return number


def encode(time: datetime, number: int) -> str:
    """The cursor of a page that ends with this row."""
    return base64.urlsafe_b64encode(json.dumps([time.isoformat(), number]).encode()).decode().rstrip("=")


class PageQuery(Schema):
    """The query of every list."""

    limit = fields.Integer(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(1, MOST),
        metadata={"description": "How many to return at most."},
    )
    cursor = Cursor(metadata={"type": "string", "format": "cursor", "description": "`next` of the page before."})


def before(time: Any, number: Any, cursor: tuple[datetime, int]) -> Any:
    """The rows that come after the cursor's, newest first; `time` and `number` are columns.

    Spelled out rather than as a comparison of pairs, which MariaDB does not answer from an index.
    """
    last_time, last_number = cursor
    return sa.and_(time <= last_time, sa.or_(time < last_time, number < last_number))


def page(rows: Sequence[Any], limit: int, time: str, number: str) -> dict[str, Any]:
    """A page out of up to `limit` + 1 rows: the one too many tells that there is more."""
    items = rows[:limit]
    more = len(rows) > limit
    last = encode(getattr(items[-1], time), getattr(items[-1], number)) if more else None
    return {"items": items, "next": last}
