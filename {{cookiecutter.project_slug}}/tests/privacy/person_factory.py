"""Creates a user with sample rows in every table that holds personal data.

The samples come from `tests/<feature>/samples.py` of each feature: `PERSONAL_DATA` creates the rows, and
`SECRET_COLUMNS` names the columns that an export must not contain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.features import FEATURES
from app.platform.database.base import Model
from app.platform.database.encryption import BoundText
from tests.accounts.factory import make_user
from tests.feature_modules import require_module
from tests.unique_values import unique_number

USER_COLUMNS = {"user_id", "actor_id"}  # they identify a user, also without a foreign key
NOT_PERSONAL = {"erasures": "the tombstone of a user that no longer exists"}


class Samples(Protocol):
    """The names that `tests/<feature>/samples.py` declares for these tests."""

    PERSONAL_DATA: Callable[[Flask, Session, User], None]
    SECRET_COLUMNS: frozenset[str]


@dataclass(frozen=True)
class Person:
    """The id of a user, and the rows of the user in each table with personal data."""

    user_id: int
    rows: Mapping[str, Sequence[Mapping[str, Any]]]

    def ids(self, table: sa.Table) -> set[int]:
        """Return the ids of the rows in a table."""
        return {row["id"] for row in self.rows[table.name]}

    def values(self) -> Iterator[tuple[sa.Column[Any], int, Any]]:
        """Yield each column with the id of a row and its value there, except the columns that identify the user."""
        for table in personal_tables():
            for row in self.rows[table.name]:
                yield from ((column, row["id"], _text(row[column.name])) for column in _data_columns(table))


def _text(value: Any) -> Any:
    return value.text if isinstance(value, BoundText) else value


def personal_tables() -> list[sa.Table]:
    """Return `users`, and every table with a chain of foreign keys to it or with a column that identifies a user."""
    tables = [Model.metadata.tables["users"]]
    for table in Model.metadata.sorted_tables:
        targets = {key.column.table for key in table.foreign_keys}
        if (targets & set(tables) or USER_COLUMNS & set(table.columns.keys())) and table.name not in NOT_PERSONAL:
            tables.append(table)
    return tables


def tables_with_rows(session: Session, person: Person) -> set[str]:
    """Return the tables that still have a row of this person."""
    session.rollback()
    return {
        table.name
        for table in personal_tables()
        if session.execute(sa.select(table.c.id).where(table.c.id.in_(person.ids(table)))).first()
    }


def empty_columns(person: Person) -> set[str]:
    """Return the columns of the tables with personal data that have no value in any row of this person."""
    return {
        str(column)
        for table in personal_tables()
        for column in _data_columns(table)
        if all(row[column.name] is None for row in person.rows[table.name])
    }


def secret_columns() -> set[str]:
    """Return the columns that an export must not contain."""
    return {column for samples in _all_samples() for column in samples.SECRET_COLUMNS}


def create_person_with_data(app: Flask, session: Session) -> Person:
    """Create a user with sample rows of every feature that has personal data."""
    user = make_user(session, id=unique_number())
    for samples in _all_samples():
        samples.PERSONAL_DATA(app, session, user)
    session.commit()
    rows: dict[str, Sequence[Mapping[str, Any]]] = {}
    for table in personal_tables():
        found = session.execute(sa.select(table).where(_belongs_to(table, user.id, rows))).mappings()
        rows[table.name] = [dict(row) for row in found]
    return Person(user.id, rows)


def _all_samples() -> Iterator[Samples]:
    for feature in FEATURES:
        if feature.personal_data:
            module = require_module(feature.name, "samples", "PERSONAL_DATA", "SECRET_COLUMNS", reason="personal data")
            yield cast(Samples, module)


def _data_columns(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.name not in USER_COLUMNS]


def _belongs_to(
    table: sa.Table, user_id: int, rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> sa.ColumnElement[bool]:
    """Match the rows that identify the user, or refer to one of the rows found so far."""
    if table.name == "users":
        return table.c.id == user_id
    owned = [column == user_id for column in table.columns if column.name in USER_COLUMNS]
    references = [
        column.in_([row[key.column.name] for row in rows[key.column.table.name]])
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table.name in rows
    ]
    return sa.or_(*owned, *references)
