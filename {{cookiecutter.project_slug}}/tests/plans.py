"""How PostgreSQL answers what a query asks of long tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.servers import PostgresServer


@contextmanager
def long_tables(server: PostgresServer, name: str, fill: Sequence[str]) -> Iterator[sa.Engine]:
    """A database of that name with every table, filled by these statements."""
    engine = sa.create_engine(server.create_database(name, template="migrated").replace("://", "+psycopg://"))
    with engine.begin() as connection:
        for statement in fill:
            connection.exec_driver_sql(statement)
    yield engine
    engine.dispose()
    server.drop_database(name)


def plans(engine: sa.Engine, query: Callable[[Session], object], *expected: type[Exception]) -> list[str]:
    """The plan of each statement that the query sends, as JSON; the query may end in an error that is expected."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    with Session(engine) as session:
        sa.event.listen(engine, "before_cursor_execute", note)
        with suppress(*expected):
            query(session)
        sa.event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {one}", given).scalar_one() for one, given in statements
        ]
    return [json.dumps(plan) for plan in found]
