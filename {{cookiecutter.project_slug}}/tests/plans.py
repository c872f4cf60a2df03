"""Query plans of PostgreSQL for large tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.conftest import MIGRATED
from tests.servers import PostgresServer
from tests.statements import recorded_statements

MAX_ROWS_READ = 1000  # by the query of one page


@contextmanager
def long_tables(server: PostgresServer, name: str, fill: Sequence[str]) -> Iterator[sa.Engine]:
    """Create a migrated database of that name, and fill it with these statements."""
    engine = sa.create_engine(server.create_database(name, template=MIGRATED).replace("://", "+psycopg://"))
    with engine.begin() as connection:
        for statement in fill:
            connection.exec_driver_sql(statement)
    yield engine
    engine.dispose()
    server.drop_database(name)


def plans(engine: sa.Engine, query: Callable[[Session], object], *expected: type[Exception]) -> list[str]:
    """Return the plan of each statement that `query` sends, as JSON; it may raise the expected errors."""
    with Session(engine) as session, recorded_statements(engine) as statements, suppress(*expected):
        query(session)
    with engine.connect() as connection:
        return [json.dumps(_explain(connection, "FORMAT JSON", *sent)) for sent in statements]


def tables_read_completely(found: Sequence[str]) -> set[str]:
    """Return the tables that these plans read from the beginning to the end."""
    nodes = [node for plan in found for node in _nodes(json.loads(plan)[0]["Plan"])]
    return {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}


def assert_page_is_read_from_an_index(engine: sa.Engine, query: Callable[[Session], object]) -> None:
    """Run a query of one statement; it must read no whole table, and at most `MAX_ROWS_READ` rows."""
    with Session(engine) as session, recorded_statements(engine) as statements:
        query(session)
    (sent,) = statements
    with engine.connect() as connection:
        nodes = list(_nodes(_explain(connection, "ANALYZE, FORMAT JSON", *sent)[0]["Plan"]))

    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]
    assert max(_rows_read(node) for node in nodes) < MAX_ROWS_READ


def _explain(connection: sa.Connection, options: str, statement: str, parameters: Any) -> Any:
    return connection.exec_driver_sql(f"EXPLAIN ({options}) {statement}", parameters).scalar_one()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _rows_read(node: dict[str, Any]) -> int:
    """Return how many rows a node read, with those that its filter removed."""
    return int(node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
