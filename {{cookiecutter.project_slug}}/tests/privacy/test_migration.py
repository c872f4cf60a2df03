"""The migration to encrypted names and a closed audit log, and back, with data in the tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.environments import basic_environment
from tests.test_migrations import flask

EMPTY = "'{}'"
TIME = "'2026-01-02 03:04:05'"
BEFORE = f"""
INSERT INTO users (id, email, password_hash, role, display_name, created_at, updated_at)
  VALUES (1, 'ann@example.org', '-', 'user', 'Ann', {TIME}, {TIME});
INSERT INTO user_locations (id, user_id, latitude, longitude, recorded_at, created_at)
  VALUES (1, 1, 52.5, 13.4, {TIME}, {TIME});
INSERT INTO audit_logs (id, created_at, actor_id, action, details) VALUES (1, {TIME}, 1, 'user.registered', {EMPTY})
"""
LONG = "enc:12345678:gAAAAA" + 200 * "x"


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if os.environ.get("TEST_DATABASE") == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    found: str = request.getfixturevalue("empty_database")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def migrate(url: str, *to: str) -> None:
    run = flask("db", *to, environment=basic_environment(DATABASE_URL=url))
    assert run.returncode == 0, run.stdout + run.stderr


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def all_of(engine: sa.Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.mark.req("D2", "P1", "P4")
def test_up_down_and_up_again_lose_nothing(url: str, engine: sa.Engine) -> None:
    everything = "SELECT u.role, u.display_name, l.id, a.action FROM users u, user_locations l, audit_logs a"
    migrate(url, "upgrade", "0004")
    run(engine, *BEFORE.split(";"))

    migrate(url, "upgrade", "0005")
    closed = all_of(engine, everything)
    for refused in ("UPDATE users SET role = 'king'", "DELETE FROM audit_logs"):
        with pytest.raises(DBAPIError):
            run(engine, refused)
    run(engine, f"UPDATE users SET display_name = '{LONG}'")
    migrate(url, "downgrade", "0004")
    run(engine, "UPDATE audit_logs SET action = 'changed'")
    opened = all_of(engine, everything)
    migrate(url, "upgrade", "0005")

    assert closed == [("user", "Ann", 1, "user.registered")]
    assert opened == all_of(engine, everything) == [("user", LONG, 1, "changed")]
    with pytest.raises(DBAPIError, match="append-only"):
        run(engine, "DELETE FROM audit_logs")
