"""Queries of positions and of their users use indexes, with a million rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.locations import service
from app.platform.database.base import utc_now
from tests.plans import FillSql, assert_page_is_read_from_an_index, long_tables, reads_of_whole_tables, rows
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer

pytestmark = pytest.mark.running

ROWS, USERS = rows(1_000_000), 10_000
SAME_TIME = 100_000  # positions of one user that have the same time
MANY = rows(300_000)  # positions of another user
TIME = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = (13.0, 52.3, 13.8, 52.7)


def fill(sql: FillSql) -> list[str]:
    """Return the statements that insert users and positions: of 90 days, and one user's that have the same time."""
    return [
        f"""INSERT INTO users (email, password_hash, role, created_at, updated_at)
            SELECT CONCAT('user', n, '@example.org'), 'x', 'user', {sql.ago("0")}, {sql.ago("0")}
            FROM {sql.numbers(USERS)}""",
        f"""INSERT INTO user_locations (user_id, latitude, longitude, recorded_at, created_at)
            SELECT 1 + mod(n, {USERS}), 52 + mod(n, 100) / 100.0, 13 + mod(n, 100) / 100.0,
                   {sql.ago("8 * n")}, {sql.ago("0")}
            FROM {sql.numbers(ROWS)}""",
        f"""INSERT INTO user_locations (user_id, latitude, longitude, recorded_at, created_at)
            SELECT 8, 52, 13, {sql.time("0")}, {sql.ago("0")} FROM {sql.numbers(SAME_TIME)}""",
        f"""INSERT INTO user_locations (user_id, latitude, longitude, recorded_at, created_at)
            SELECT 9, 52, 13, {sql.time("9 * n")}, {sql.ago("0")} FROM {sql.numbers(MANY)}""",
        f"""INSERT INTO location_sharing (user_id, created_at)
            SELECT n, {sql.ago("0")} FROM {sql.numbers(USERS)} WHERE mod(n, 2) = 1""",
    ]


QUERIES: dict[str, Callable[[Session], object]] = {
    "history": lambda session: service.history(session, 7, 50, None),
    "history, later page": lambda session: service.history(session, 7, 50, (utc_now() - timedelta(days=9), ROWS // 2)),
    "active users": lambda session: service.active(session.connection(), minutes=5, limit=50),
    "active users, for admins": lambda session: service.active(
        session.connection(), minutes=5, limit=50, everyone=True
    ),
    "active users of one day": lambda session: service.active(session.connection(), minutes=1440, limit=50),
    "active users in a box": lambda session: service.active(session.connection(), minutes=60, limit=50, bbox=BERLIN),
    "active users, later page": lambda session: service.active(
        session.connection(), minutes=60, limit=5, cursor=(utc_now(), 40)
    ),
    "count of one day": service.count_recent,
    "export": lambda session: list(service.export(session, 7)),
    "erasure": lambda session: list(service.erase(session, 7)),
    "deletion of a user": lambda session: session.execute(sa.text("DELETE FROM user_locations WHERE user_id = 7")),
    "a profile": lambda session: accounts.profile(session.connection(), 7),
    "a user by e-mail": lambda session: accounts.find_by_email(session, "user7@example.org"),
}


@pytest.fixture(scope="module")
def engine(database_server: PostgresServer | InstalledServer) -> Iterator[sa.Engine]:
    with long_tables(database_server, "plans_of_positions", fill) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1")
def test_query_reads_no_whole_table(engine: sa.Engine, name: str) -> None:
    assert not reads_of_whole_tables(engine, QUERIES[name], small=["location_sharing"])


@pytest.mark.req("D1", "A6")
@pytest.mark.fault("F62")
def test_late_page_of_a_user_with_many_positions_reads_few_rows(engine: sa.Engine) -> None:
    cursor = (TIME + timedelta(seconds=9 * (MANY // 10)), ROWS + SAME_TIME + MANY // 10)

    assert_page_is_read_from_an_index(engine, lambda session: service.history(session, 9, 50, cursor))


@pytest.mark.req("D1", "A6")
@pytest.mark.fault("F62")
def test_page_amid_positions_of_the_same_time_reads_few_rows(engine: sa.Engine) -> None:
    cursor = (TIME, ROWS + SAME_TIME // 10)

    assert_page_is_read_from_an_index(engine, lambda session: service.history(session, 8, 50, cursor))
