"""Pages of the audit log are read from an index, also in a large table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit import service
from tests.plans import FillSql, assert_page_is_read_from_an_index, long_tables, rows
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer

pytestmark = pytest.mark.running

ROWS = rows(30_000)
DEEP = ROWS // 10  # newest first, nine tenths of the rows precede it
TIME = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=6 * DEEP)
CURSOR = (TIME, DEEP)
NO_DETAILS = "'{}'"


def fill(sql: FillSql) -> list[str]:
    """Return the statement that inserts the entries."""
    return [
        f"""INSERT INTO audit_logs (created_at, actor_id, target_type, target_id, action, details)
            SELECT {sql.time("6 * n")}, {sql.one_of(200)}, 'user', CONCAT('', {sql.one_of(200)}),
                   CASE WHEN mod(n, 3000) = 0 THEN 'user.role_changed' ELSE 'user.signed_in' END, {NO_DETAILS}
            FROM {sql.numbers(ROWS)}"""
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
    "by common actor": lambda session: service.entries(session, limit=50, actor_id=0, cursor=CURSOR),
    "by common action, later page": lambda session: service.entries(
        session, limit=50, action="user.signed_in", cursor=CURSOR
    ),
    "by common target": lambda session: service.entries(session, limit=50, target="user:0", cursor=CURSOR),
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
def engine(database_server: PostgresServer | InstalledServer) -> Iterator[sa.Engine]:
    """A separate database with many entries."""
    with long_tables(database_server, "audit_plans", fill) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A5")
@pytest.mark.fault("F62")
def test_page_of_entries_reads_few_rows_from_an_index(engine: sa.Engine, name: str) -> None:
    assert_page_is_read_from_an_index(engine, QUERIES[name])
