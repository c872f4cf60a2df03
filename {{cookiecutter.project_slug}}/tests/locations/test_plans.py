"""Queries of positions and of their users use indexes, with a million rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.locations import service
from app.platform.database.base import utc_now
from tests.plans import long_tables, plans, tables_read_completely
from tests.servers import PostgresServer

pytestmark = pytest.mark.running

ROWS, USERS = 1_000_000, 10_000
BERLIN = (13.0, 52.3, 13.8, 52.7)

FILL = [
    f"""INSERT INTO users (email, password_hash, role, created_at, updated_at)
        SELECT 'user' || n || '@example.org', 'x', 'user', now(), now() FROM generate_series(1, {USERS}) n""",
    f"""INSERT INTO user_locations (user_id, latitude, longitude, recorded_at, created_at)
        SELECT 1 + mod(n, {USERS}), 52 + mod(n, 100) / 100.0, 13 + mod(n, 100) / 100.0,
               now() - n * interval '8 seconds', now()
        FROM generate_series(1, {ROWS}) n""",  # 90 days
    f"INSERT INTO location_sharing (user_id, created_at) SELECT n, now() FROM generate_series(1, {USERS}, 2) n",
    "ANALYZE",
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
def engine(postgres: PostgresServer) -> Iterator[sa.Engine]:
    with long_tables(postgres, "plans_of_positions", FILL) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1")
def test_query_reads_no_whole_table(engine: sa.Engine, name: str) -> None:
    found = plans(engine, QUERIES[name])

    assert found
    assert tables_read_completely(found) <= {"location_sharing"}  # a few pages, which cost less than its index
