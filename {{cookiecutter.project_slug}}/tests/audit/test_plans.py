"""Pages of the audit log are read from an index, also in a large table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit import service
from tests.plans import assert_page_is_read_from_an_index, long_tables
from tests.servers import PostgresServer

pytestmark = pytest.mark.running

ROWS = 30_000
TIME = datetime(2026, 1, 2, tzinfo=UTC)
CURSOR = (TIME, ROWS // 2)

FILL = [
    f"""INSERT INTO audit_logs (created_at, actor_id, target_type, target_id, action, details)
        SELECT timestamptz '2026-01-01 00:00+00' + n * interval '6 seconds', mod(n, 200), 'user', mod(n, 200)::text,
               CASE WHEN mod(n, 3000) = 0 THEN 'user.role_changed' ELSE 'user.signed_in' END, json_build_object()
        FROM generate_series(1, {ROWS}) n""",
    "ANALYZE",
]

QUERIES: dict[str, Callable[[Session], object]] = {
    "first page": lambda session: service.entries(session, limit=50),
    "later page": lambda session: service.entries(session, limit=50, cursor=CURSOR),
    "by actor": lambda session: service.entries(session, limit=50, actor_id=7),
    "by actor, later page": lambda session: service.entries(session, limit=50, actor_id=7, cursor=CURSOR),
    "by rare action": lambda session: service.entries(session, limit=50, action="user.role_changed"),
    "by common action": lambda session: service.entries(session, limit=50, action="user.signed_in"),
    "by target": lambda session: service.entries(session, limit=50, target="user:7"),
    "by target, later page": lambda session: service.entries(session, limit=50, target="user:7", cursor=CURSOR),
    "since": lambda session: service.entries(session, limit=50, since=TIME),
    "until": lambda session: service.entries(session, limit=50, until=TIME),
    "between": lambda session: service.entries(session, limit=50, since=TIME, until=TIME + timedelta(hours=1)),
    "by actor, until": lambda session: service.entries(session, limit=50, actor_id=7, until=TIME),
    "by rare action, until": lambda session: service.entries(session, limit=50, action="user.role_changed", until=TIME),
    "by target, until": lambda session: service.entries(session, limit=50, target="user:7", until=TIME),
    "all filters": lambda session: service.entries(
        session, limit=50, actor_id=0, action="user.role_changed", since=TIME, cursor=(datetime.now(UTC), ROWS)
    ),
}


@pytest.fixture(scope="module")
def engine(postgres: PostgresServer) -> Iterator[sa.Engine]:
    """A separate database with many entries."""
    with long_tables(postgres, "audit_plans", FILL) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A5")
def test_page_of_entries_reads_few_rows_from_an_index(engine: sa.Engine, name: str) -> None:
    assert_page_is_read_from_an_index(engine, QUERIES[name])
