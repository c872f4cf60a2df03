"""Cursor pagination: a bounded `limit`, and a cursor that stays valid while rows are added."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from marshmallow import Schema, fields, validate
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.platform.api.fields import parse_time
from app.platform.decimals import DecimalInteger

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

CursorValue = tuple[datetime, int]  # the time and the id of the last row of the previous page
PageSelect = TypeVar("PageSelect", bound=sa.Select[*tuple[Any, ...]])


class Cursor(fields.Field[CursorValue]):
    """A cursor as an opaque text."""

    default_error_messages = {"invalid": "Not a cursor: use the value of `next` from the previous page."}  # noqa: RUF012 - overrides marshmallow's

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> CursorValue:
        del attr, data, kwargs
        try:
            time, row_id = json.loads(base64.urlsafe_b64decode(str(value) + "=" * (-len(str(value)) % 4)))
            return _utc(parse_time(time)), _validate_id(row_id)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise self.make_error("invalid") from None


def _utc(time: datetime) -> datetime:
    """Return the time in UTC; raises `OverflowError` if UTC has no such time, which is before year 1 or after 9999."""
    if time.tzinfo is None:
        raise ValueError("the time of a cursor must have a time zone")
    return time.astimezone(UTC)


def _validate_id(row_id: object) -> int:
    if type(row_id) is not int or not 0 <= row_id < 2**63:
        raise ValueError("the id of a cursor must fit into 64 bits")
    return row_id


def encode_cursor(time: datetime, row_id: int) -> str:
    """Return the cursor of a page that ends with this row."""
    return base64.urlsafe_b64encode(json.dumps([time.isoformat(), row_id]).encode()).decode().rstrip("=")


class PageQuery(Schema):
    """The query parameters of every list."""

    limit = DecimalInteger(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(1, MAX_LIMIT),
        metadata={"description": "Maximum number of items to return."},
    )
    cursor = Cursor(metadata={"type": "string", "format": "cursor", "description": "`next` of the previous page."})


def newest_first(query: PageSelect, time: Any, row_id: Any, limit: int, cursor: CursorValue | None) -> PageSelect:
    """Return the query of one page: up to `limit` + 1 rows after the cursor; `time` and `row_id` are columns."""
    if cursor:
        query = query.where(after_cursor(time, row_id, cursor))
    return query.order_by(time.desc(), row_id.desc()).limit(limit + 1)


def read_from_index(query: PageSelect, model: Any, index: str) -> PageSelect:
    """Make MariaDB and MySQL read a page from this index of the model's table.

    Needed where the column of an equality has few values, such as a role: for a late page they estimate that all rows
    of the value cost less than a range of the index, and read all of them.
    """
    hint = f"FORCE INDEX ({index})"
    return query.with_hint(model, hint, "mysql").with_hint(model, hint, "mariadb")


class _AfterCursor(FunctionElement[bool]):
    """The condition for rows after a cursor: the time, the id, and their values in the cursor.

    Each database reads only one form of it from an index: PostgreSQL and SQLite the comparison of row values, MariaDB
    and MySQL the two ranges. With the other form, a page reads all rows before the cursor, or all that have its time.
    """

    type = sa.Boolean()
    inherit_cache = True
    _is_implicitly_boolean = True  # otherwise MariaDB and MySQL get `(...) = 1`, for which they use no index


@compiles(_AfterCursor)
def _compare_rows(element: _AfterCursor, compiler: Any, **options: Any) -> str:
    time, row_id, last_time, last_id = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({time}, {row_id}) < ({last_time}, {last_id})"


@compiles(_AfterCursor, "mysql", "mariadb")
def _compare_ranges(element: _AfterCursor, compiler: Any, **options: Any) -> str:
    time, row_id, last_time, last_id = element.clauses
    ranges: str = compiler.process(sa.or_(time < last_time, sa.and_(time == last_time, row_id < last_id)), **options)
    return f"({ranges})"


def after_cursor(time: Any, row_id: Any, cursor: CursorValue) -> Any:
    """Return the condition for rows after the cursor, newest first; `time` and `row_id` are columns."""
    last_time, last_id = cursor
    return _AfterCursor(time, row_id, sa.literal(last_time, time.type), sa.literal(last_id, row_id.type))


def page(rows: Sequence[Any], limit: int, time: str, row_id: str) -> dict[str, Any]:
    """Return a page of up to `limit` + 1 rows; the additional row shows that there is a next page.

    `time` and `row_id` are the names of the attributes that form the cursor.
    """
    items = rows[:limit]
    has_next = len(rows) > limit
    cursor = encode_cursor(getattr(items[-1], time), getattr(items[-1], row_id)) if has_next else None
    return {"items": items, "next": cursor}
