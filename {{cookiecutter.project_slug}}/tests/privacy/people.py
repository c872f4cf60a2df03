"""People of whom every table holds something, whatever tables there are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.database import Model

# Columns that tell of a person without a foreign key to one.
POINTERS = {"user_id", "actor_id"}
NOT_PERSONAL = {"erasures": "a tombstone speaks of nobody who is still there"}

# Tables whose rows stay beyond a test, and must not be out of the order of their ids.
NUMBERED = {"audit_logs"}

# What proves who somebody is, or where the service keeps things, is not told to anybody.
SECRET = {
    "users.password_hash",
    "user_sessions.refresh_id",
    "api_keys.key_hash",
    "data_files.storage_key",
}

# What a rule of the table allows, where chance would not meet it.
ALLOWED: Mapping[str, Any] = {
    "users.role": "user",
    "user_locations.latitude": 52.123456789,
    "user_locations.longitude": 13.123456789,
    "test_history.status": "passed",
}


@dataclass(frozen=True)
class Person:
    """A user's id, and the row that was made in each table."""

    user_id: int
    rows: Mapping[str, Mapping[str, Any]]

    def values(self) -> Iterator[tuple[sa.Column[Any], Any]]:
        """Every value with its column, but for those that only say whose it is."""
        for table in personal_tables():
            for column in table.columns:
                if column.name not in POINTERS:
                    yield column, self.rows[table.name][column.name]


def personal_tables() -> list[sa.Table]:
    """Every table with a path of foreign keys to the users, or a column that points to one, users first."""
    found = [Model.metadata.tables["users"]]
    for table in Model.metadata.sorted_tables:
        targets = {key.column.table for key in table.foreign_keys}
        personal = targets & set(found) or POINTERS & set(table.columns.keys())
        if personal and table.name not in NOT_PERSONAL:
            found.append(table)
    return found


def make_person(session: Session) -> Person:
    """Somebody who has a row in each personal table, with a value of its own in each column."""
    rows: dict[str, dict[str, Any]] = {}
    for table in personal_tables():
        row = {column.name: _value(column, rows) for column in table.columns}
        if table.name in NUMBERED:
            del row["id"]
        row["id"] = session.scalar(table.insert().values(row).returning(table.c.id))
        rows[table.name] = row
    session.commit()
    return Person(rows["users"]["id"], rows)


def _value(column: sa.Column[Any], rows: Mapping[str, Mapping[str, Any]]) -> Any:
    if column.foreign_keys:
        target = next(iter(column.foreign_keys)).column
        return rows[target.table.name][target.name]
    if column.name in POINTERS:
        return rows["users"]["id"]
    return ALLOWED.get(str(column), _any(column.type))


def _any(kind: sa.types.TypeEngine[Any]) -> Any:
    number = secrets.randbelow(10**8) + 10**8
    plain = kind.impl_instance if isinstance(kind, sa.types.TypeDecorator) else kind
    if isinstance(plain, sa.JSON):
        return {"planted": str(number)}
    match plain.python_type.__name__:
        case "int":
            return number
        case "float":
            return number / 1000
        case "bool":
            return True
        case "datetime":
            return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(microseconds=number * 1_000_003)
        case _:
            return secrets.token_hex(8)[: getattr(kind, "length", None)]
