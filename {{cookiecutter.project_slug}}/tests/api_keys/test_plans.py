"""Pages of the keys of all users are read from an index, also in a large table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.api_keys import service
from tests.plans import assert_page_is_read_from_an_index, long_tables
from tests.servers import PostgresServer

pytestmark = pytest.mark.running

ROWS = 20_000
CURSOR = (datetime(2026, 1, 2, tzinfo=UTC), ROWS // 2)

FILL = [
    """INSERT INTO users (email, password_hash, role, created_at, updated_at)
       SELECT 'user' || n || '@example.org', 'x', 'user', now(), now() FROM generate_series(1, 100) n""",
    f"""INSERT INTO api_keys (user_id, name, prefix, key_hash, scopes, created_at)
        SELECT (SELECT min(id) FROM users) + mod(n, 100), 'a key', 'fsk_' || n, 'x', '[]',
               timestamptz '2026-01-01 00:00+00' + n * interval '6 seconds'
        FROM generate_series(1, {ROWS}) n""",
    "ANALYZE",
]

QUERIES: dict[str, Callable[[Session], object]] = {
    "first page": lambda session: service.all_keys(session, limit=50),
    "later page": lambda session: service.all_keys(session, limit=50, cursor=CURSOR),
    "of one user": lambda session: service.all_keys(session, limit=50, user_id=7),
    "of one user, later page": lambda session: service.all_keys(session, limit=50, user_id=7, cursor=CURSOR),
}


@pytest.fixture(scope="module")
def engine(postgres: PostgresServer) -> Iterator[sa.Engine]:
    """A separate database with many keys."""
    with long_tables(postgres, "api_key_plans", FILL) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A5")
def test_page_of_keys_reads_few_rows_from_an_index(engine: sa.Engine, name: str) -> None:
    assert_page_is_read_from_an_index(engine, QUERIES[name])
