"""The personal data that each feature stores, for exports and erasures.

A test fails if a table with personal data has no registered source.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.platform.components import platform_of

PORTION = 1000  # rows that one statement of an export or an erasure handles

Export = Callable[[Session, int], Any]
Erase = Callable[[Session, int], Iterator[None]]


@dataclass(frozen=True)
class Record:
    """One line of the record of processing (GDPR, article 30).

    `places`: tables, or names of other places. `content`: what is stored there. `purpose`: why. `kept`: for how long.
    `readers`: who can read it. `test`: a file with tests that show it.
    """

    places: tuple[str, ...]
    content: str
    purpose: str
    kept: str
    readers: str
    test: str


@dataclass(frozen=True)
class PersonalDataSource:
    """The tables of one feature, how to export a user's part of them as JSON, and how to erase it.

    `erase` deletes the rows in portions and yields after each, for the caller to commit: a user can have millions of
    rows, and one transaction for all of them would block other requests. It can be stopped and restarted. Foreign keys
    delete the remaining rows with the user's own row.
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


def delete_in_portions(
    session: Session, model: Any, user_id: int, order: Sequence[Any], *columns: Any
) -> Iterator[Sequence[Any]]:
    """Delete the rows of a user, newest first; yields the `columns` of each portion, for the caller to commit.

    `order`: the columns after `user_id` in an index, the unique id last. Each portion starts after the previous one, so
    that the database does not read deleted rows again.
    """
    bounds: list[Any] = [model.user_id == user_id]
    while True:
        rows = sa.select(*order, *columns).where(*bounds).order_by(*(column.desc() for column in order)).limit(PORTION)
        portion = session.execute(rows).all()
        if not portion:
            return
        # A range and no list of ids, which takes several times as long to send.
        in_portion = sa.delete(model).where(*bounds, _bounded(order, portion[-1], operator.ge))
        session.execute(in_portion, execution_options={"synchronize_session": False})
        yield [row[len(order) :] for row in portion]
        bounds[1:] = [_bounded(order, portion[-1], operator.lt)]


def _bounded(order: Sequence[Any], last: Sequence[Any], compare: Callable[[Any, Any], Any]) -> Any:
    """Return the condition for rows up to the last one (`operator.ge`), or after it (`operator.lt`).

    MariaDB uses no index for a comparison of row values, hence one condition for each column.
    """
    column, value = order[0], last[0]
    if len(order) == 1:
        return compare(column, value)
    strictly, or_equal = (operator.gt, operator.ge) if compare is operator.ge else (operator.lt, operator.le)
    return sa.and_(or_equal(column, value), sa.or_(strictly(column, value), _bounded(order[1:], last[1:], compare)))
