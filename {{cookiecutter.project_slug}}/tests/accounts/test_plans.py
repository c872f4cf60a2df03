"""Pages of users are read from an index, also in a large table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import administration
from tests.plans import assert_page_is_read_from_an_index, long_tables
from tests.servers import PostgresServer

pytestmark = pytest.mark.running

ROWS = 30_000
CURSOR = (datetime(2026, 1, 2, tzinfo=UTC), ROWS // 2)

FILL = [
    f"""INSERT INTO users (email, password_hash, role, created_at, updated_at)
        SELECT 'user' || n || '@example.org', 'x', CASE WHEN mod(n, 3000) = 0 THEN 'admin' ELSE 'user' END,
               timestamptz '2026-01-01 00:00+00' + n * interval '6 seconds', now()
        FROM generate_series(1, {ROWS}) n""",
    "UPDATE users SET suspended_at = now() WHERE mod(id, 1000) = 0",
    "ANALYZE",
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
def engine(postgres: PostgresServer) -> Iterator[sa.Engine]:
    """A separate database with many users."""
    with long_tables(postgres, "user_plans", FILL) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A5")
def test_page_of_users_reads_few_rows_from_an_index(engine: sa.Engine, name: str) -> None:
    assert_page_is_read_from_an_index(engine, QUERIES[name])
