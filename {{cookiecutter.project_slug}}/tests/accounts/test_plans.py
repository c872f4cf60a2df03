"""Pages of users are read from an index, also in a large table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import administration
from tests.plans import FillSql, assert_page_is_read_from_an_index, long_tables, rows
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer

pytestmark = pytest.mark.running

ROWS = rows(30_000)
DEEP = ROWS // 10  # newest first, nine tenths of the rows precede it
CURSOR = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=6 * DEEP), DEEP)


def fill(sql: FillSql) -> list[str]:
    """Return the statement that inserts the users. Few are suspended: a page of those reads and sorts all of them."""
    return [
        f"""INSERT INTO users (email, password_hash, role, created_at, updated_at, suspended_at)
            SELECT CONCAT('user', n, '@example.org'), 'x', CASE WHEN mod(n, 3000) = 0 THEN 'admin' ELSE 'user' END,
                   {sql.time("6 * n")}, {sql.ago("0")}, CASE WHEN mod(n, 3000) = 0 THEN {sql.ago("0")} END
            FROM {sql.numbers(ROWS)}"""
    ]


QUERIES: dict[str, Callable[[Session], object]] = {
    "first page": lambda session: administration.users(session, limit=50),
    "later page": lambda session: administration.users(session, limit=50, cursor=CURSOR),
    "by e-mail": lambda session: administration.users(session, limit=50, email="user77@example.org"),
    "by rare role": lambda session: administration.users(session, limit=50, role="admin"),
    "by rare role, later page": lambda session: administration.users(session, limit=5, role="admin", cursor=CURSOR),
    "suspended": lambda session: administration.users(session, limit=50, suspended=True),
    "not suspended, later page": lambda session: administration.users(
        session, limit=50, suspended=False, cursor=CURSOR
    ),
    "by common role": lambda session: administration.users(session, limit=50, role="user", cursor=CURSOR),
}


@pytest.fixture(scope="module")
def engine(database_server: PostgresServer | InstalledServer) -> Iterator[sa.Engine]:
    """A separate database with many users."""
    with long_tables(database_server, "user_plans", fill) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A5")
@pytest.mark.fault("F62")
def test_page_of_users_reads_few_rows_from_an_index(engine: sa.Engine, name: str) -> None:
    assert_page_is_read_from_an_index(engine, QUERIES[name])
