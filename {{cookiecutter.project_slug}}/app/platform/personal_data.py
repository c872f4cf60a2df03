"""The personal data that each feature stores, for exports and erasures.

A test fails if a table with personal data has no registered source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.platform.components import platform_of

Export = Callable[[Session, int], Any]
Erase = Callable[[Session, int], None]


@dataclass(frozen=True)
class PersonalDataSource:
    """The tables of one feature, how to export a user's part of them as JSON, and how to erase it.

    `erase` works in the session's transaction and does not commit. Rows that a foreign key deletes with the user's own
    row need no `erase`.
    """

    tables: tuple[str, ...]
    export: Export
    erase: Erase | None = None


class PersonalData(dict[str, PersonalDataSource]):
    """The sources of one app, by the name under which an export shows them."""


def register(app: Flask, name: str, source: PersonalDataSource) -> None:
    """Register a source under the name that exports use."""
    personal_data_of(app)[name] = source


def personal_data_of(app: Flask) -> PersonalData:
    """Return every registered source, by name."""
    return platform_of(app).get_or_create(PersonalData)


def rows_as_dicts(session: Session, query: sa.Select[Any], *, exclude: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the rows of a query over one model, with every column except those excluded."""
    return [row_as_dict(row, exclude=exclude) for row in session.scalars(query)]


def row_as_dict(row: Any, *, exclude: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the columns of a model's row except those excluded."""
    columns = sa.inspect(type(row)).columns
    return {column.key: getattr(row, column.key) for column in columns if column.key not in exclude}
