"""The lists that admins read are answered from indexes, however long the tables are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import administration
from app.audit import service as audit

ROWS = 30_000
FEW = 1000  # rows that a page may look at
TIME = datetime(2026, 1, 2, tzinfo=UTC)
CURSOR = (TIME, ROWS // 2)

FILL = [
    f"""INSERT INTO users (email, password_hash, role, created_at, updated_at)
        SELECT 'user' || n || '@example.org', 'x', CASE WHEN mod(n, 3000) = 0 THEN 'admin' ELSE 'user' END,
               timestamptz '2026-01-01 00:00+00' + n * interval '6 seconds', now()
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO audit_logs (created_at, actor_id, action, details)
        SELECT timestamptz '2026-01-01 00:00+00' + n * interval '6 seconds', mod(n, 200),
               CASE WHEN mod(n, 3000) = 0 THEN 'user.role_changed' ELSE 'user.signed_in' END, json_build_object()
        FROM generate_series(1, {ROWS}) n""",
    "ANALYZE",
]

QUERIES: dict[str, Callable[[Session], object]] = {
    "users": lambda session: administration.users(session, limit=50),
    "users, a later page": lambda session: administration.users(session, limit=50, cursor=CURSOR),
    "users by e-mail": lambda session: administration.users(session, limit=50, email="user77@example.org"),
    "admins": lambda session: administration.users(session, limit=50, role="admin"),
    "admins, a later page": lambda session: administration.users(session, limit=5, role="admin", cursor=CURSOR),
    "users by role": lambda session: administration.users(session, limit=50, role="user", cursor=CURSOR),
    "entries": lambda session: audit.entries(session, limit=50),
    "entries, a later page": lambda session: audit.entries(session, limit=50, cursor=CURSOR),
    "entries by actor": lambda session: audit.entries(session, limit=50, actor_id=7),
    "entries by actor, a later page": lambda session: audit.entries(session, limit=50, actor_id=7, cursor=CURSOR),
    "entries by a rare action": lambda session: audit.entries(session, limit=50, action="user.role_changed"),
    "entries by a common action": lambda session: audit.entries(session, limit=50, action="user.signed_in"),
    "entries since": lambda session: audit.entries(session, limit=50, since=TIME),
    "entries by all": lambda session: audit.entries(
        session, limit=50, actor_id=0, action="user.role_changed", since=TIME, cursor=(datetime.now(UTC), ROWS)
    ),
}


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session on a database of its own, with long tables."""
    server = request.getfixturevalue("postgres")
    engine = sa.create_engine(server.create_database("plans", template="migrated").replace("://", "+psycopg://"))
    with engine.begin() as connection:
        for statement in FILL:
            connection.exec_driver_sql(statement)
    with Session(engine) as session:
        yield session
    engine.dispose()
    server.drop_database("plans")


def explain(session: Session, query: Callable[[Session], object]) -> dict[str, Any]:
    """How PostgreSQL answered the one statement of a query."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    sa.event.listen(session.get_bind(), "before_cursor_execute", note)
    query(session)
    sa.event.remove(session.get_bind(), "before_cursor_execute", note)
    ((statement, parameters),) = statements
    explained = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
    plan: dict[str, Any] = explained.scalar_one()[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A5")
def test_a_page_is_read_from_an_index_and_looks_at_few_rows(session: Session, name: str) -> None:
    plan = explain(session, QUERIES[name])

    looked_at = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes(plan)]
    assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert max(looked_at) < FEW
