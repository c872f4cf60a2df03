"""Query plans for large tables, on PostgreSQL, or on the MariaDB of `TEST_DATABASE_URL`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.conftest import MIGRATED, migrate
from tests.environments import basic_environment
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer, driver_url
from tests.statements import recorded_statements

MAX_ROWS_READ = 1000  # by the query of one page
EXPLAINED = ("SELECT", "UPDATE", "DELETE", "WITH")  # statements that read tables

Query = Callable[[Session], object]


def rows(default: int) -> int:
    """Return the number of rows of a large table: PLAN_ROWS, or a number that takes little time to insert."""
    return int(os.environ.get("PLAN_ROWS", default))


@dataclass(frozen=True)
class FillSql:
    """Parts of the statements that fill a table, in the language of a database."""

    dialect: str

    def numbers(self, count: int) -> str:
        """Return a table with a column `n`: the numbers from 1 to `count`."""
        if self.dialect == "postgresql":
            return f"generate_series(1, {count}) n"
        return f"(SELECT seq AS n FROM seq_1_to_{count}) numbers"

    def one_of(self, count: int, first: int = 0) -> str:
        """Return an expression: `first` in every second row, else one of `count` numbers from `first` on."""
        return f"{first} + CASE WHEN mod(n, 2) = 0 THEN 0 ELSE mod(n, {count}) END"

    def time(self, seconds: str) -> str:
        """Return the time that is so many seconds after the start of 2026 in UTC; `seconds` is an expression."""
        if self.dialect == "postgresql":
            return f"timestamptz '2026-01-01 00:00+00' + ({seconds}) * interval '1 second'"
        return f"timestamp('2026-01-01 00:00:00') + INTERVAL ({seconds}) SECOND"

    def ago(self, seconds: str) -> str:
        """Return the time that is so many seconds before now; `seconds` is an expression."""
        if self.dialect == "postgresql":
            return f"now() - ({seconds}) * interval '1 second'"
        return f"utc_timestamp(6) - INTERVAL ({seconds}) SECOND"


@contextmanager
def long_tables(
    server: PostgresServer | InstalledServer, name: str, fill: Callable[[FillSql], Sequence[str]]
) -> Iterator[sa.Engine]:
    """Create a migrated database of that name, and fill it with these statements."""
    url = _migrated_database(server, name)
    engine = sa.create_engine(driver_url(url))
    with engine.begin() as connection:
        for statement in fill(FillSql(engine.dialect.name)):
            connection.exec_driver_sql(statement)
        tables = ", ".join(sa.inspect(connection).get_table_names())
        connection.exec_driver_sql("ANALYZE" if engine.dialect.name == "postgresql" else f"ANALYZE TABLE {tables}")
    yield engine
    engine.dispose()
    server.drop_database(name)


def _migrated_database(server: PostgresServer | InstalledServer, name: str) -> str:
    if isinstance(server, PostgresServer):
        return server.create_database(name, template=MIGRATED)
    url = server.create_database(name)
    migrate(basic_environment(DATABASE_URL=url))
    return url


def reads_of_whole_tables(
    engine: sa.Engine, query: Query, *expected: type[Exception], small: Collection[str] = ()
) -> list[str]:
    """Return the plans that read a whole table, of the statements that `query` sends; it may raise `expected`.

    `small`: tables of a few pages, which a database reads completely because that costs less than their index.
    """
    with Session(engine) as session, recorded_statements(engine) as statements, suppress(*expected):
        query(session)
    assert statements
    with engine.connect() as connection:
        found = [_explain(connection, *sent) for sent in statements if sent[0].lstrip().startswith(EXPLAINED)]
    return [json.dumps(plan) for plan in found if any(_is_whole_table(node, small) for node in _nodes(plan))]


def assert_page_is_read_from_an_index(engine: sa.Engine, query: Query) -> None:
    """Run a query of one statement; it must read no whole table, and at most `MAX_ROWS_READ` rows."""
    assert not reads_of_whole_tables(engine, query)
    assert rows_read(engine, query) < MAX_ROWS_READ


def rows_read(engine: sa.Engine, query: Query) -> int:
    """Return how many rows the database reads for a query of one statement, with those that it filters out."""
    with Session(engine) as session, recorded_statements(engine) as statements:
        query(session)
    ((statement, parameters),) = statements
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            plan = connection.exec_driver_sql(explain, parameters).scalar_one()
            return max(_rows_of_node(node) for node in _nodes(plan) if "Actual Rows" in node)
        connection.exec_driver_sql("FLUSH STATUS")  # the counters of this session
        connection.exec_driver_sql(statement, parameters).all()
        counters = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
        return sum(int(value) for _, value in counters)


def _explain(connection: sa.Connection, statement: str, parameters: Any) -> Any:
    if connection.dialect.name == "postgresql":
        return connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    return json.loads(connection.exec_driver_sql(f"EXPLAIN FORMAT=JSON {statement}", parameters).scalar_one())


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        yield plan
    for child in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from _nodes(child)


def _is_whole_table(node: dict[str, Any], small: Collection[str]) -> bool:
    """Whether a node of a plan reads a whole table; names like <derived2> are results of subqueries."""
    if node.get("Relation Name", node.get("table_name")) in small:
        return False
    is_table = not str(node.get("table_name", "<")).startswith("<")
    return node.get("Node Type") == "Seq Scan" or (is_table and node.get("access_type") == "ALL")


def _rows_of_node(node: dict[str, Any]) -> int:
    """Return how many rows a node of PostgreSQL read, with those that its filter removed."""
    return int(node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
