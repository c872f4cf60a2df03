"""Pages of the keys of all users are read from an index, also in a large table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.api_keys import service
from tests.plans import FillSql, assert_page_is_read_from_an_index, long_tables, rows
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer

pytestmark = pytest.mark.running

ROWS = rows(20_000)
DEEP = ROWS // 10  # newest first, nine tenths of the rows precede it
CURSOR = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=6 * DEEP), DEEP)


def fill(sql: FillSql) -> list[str]:
    """Return the statements that insert users and their keys."""
    return [
        f"""INSERT INTO users (email, password_hash, role, created_at, updated_at)
            SELECT CONCAT('user', n, '@example.org'), 'x', 'user', {sql.ago("0")}, {sql.ago("0")}
            FROM {sql.numbers(100)}""",
        f"""INSERT INTO api_keys (user_id, name, prefix, key_hash, scopes, created_at)
            SELECT {sql.one_of(100, first=1)}, 'a key', CONCAT('fsk_', n), 'x', '[]', {sql.time("6 * n")}
            FROM {sql.numbers(ROWS)}""",
    ]


QUERIES: dict[str, Callable[[Session], object]] = {
    "first page": lambda session: service.all_keys(session, limit=50),
    "later page": lambda session: service.all_keys(session, limit=50, cursor=CURSOR),
    "of one user": lambda session: service.all_keys(session, limit=50, user_id=7),
    "of one user, later page": lambda session: service.all_keys(session, limit=50, user_id=7, cursor=CURSOR),
    "of a user with many keys": lambda session: service.all_keys(session, limit=50, user_id=1, cursor=CURSOR),
    "own keys": lambda session: service.keys(session, 1, 50, None),
    "own keys, later page": lambda session: service.keys(session, 1, 50, CURSOR),
}


@pytest.fixture(scope="module")
def engine(database_server: PostgresServer | InstalledServer) -> Iterator[sa.Engine]:
    """A separate database with many keys."""
    with long_tables(database_server, "api_key_plans", fill) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A5")
@pytest.mark.fault("F62")
def test_page_of_keys_reads_few_rows_from_an_index(engine: sa.Engine, name: str) -> None:
    assert_page_is_read_from_an_index(engine, QUERIES[name])
