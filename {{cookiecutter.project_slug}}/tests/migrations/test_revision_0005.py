"""Tests of revision 0005 (encrypted display names, append-only audit log): upgrade and downgrade keep the data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.environments import basic_environment
from tests.migrations.flask_command import flask
from tests.servers.installed import driver_url

EMPTY = "'{}'"
TIME = "'2026-01-02 03:04:05'"
ROWS = f"""
INSERT INTO users (id, email, password_hash, role, display_name, created_at, updated_at)
  VALUES (1, 'ann@example.org', '-', 'user', 'Ann', {TIME}, {TIME});
INSERT INTO user_locations (id, user_id, latitude, longitude, recorded_at, created_at)
  VALUES (1, 1, 52.5, 13.4, {TIME}, {TIME});
INSERT INTO audit_logs (id, created_at, actor_id, action, details) VALUES (1, {TIME}, 1, 'user.registered', {EMPTY})
"""
LONG_NAME = "enc:12345678:gAAAAA" + 200 * "x"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(driver_url(database_url))
    yield engine
    engine.dispose()


def migrate(database_url: str, command: str, revision: str) -> None:
    run = flask("db", command, revision, environment=basic_environment(DATABASE_URL=database_url))
    assert run.returncode == 0, run.stdout + run.stderr


def execute(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def rows(engine: sa.Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.mark.req("D2", "P1", "P4")
def test_upgrade_and_downgrade_keep_every_row(database_url: str, engine: sa.Engine) -> None:
    query = "SELECT u.role, u.display_name, l.id, a.action FROM users u, user_locations l, audit_logs a"
    migrate(database_url, "upgrade", "0004")
    execute(engine, *ROWS.split(";"))

    migrate(database_url, "upgrade", "0005")
    upgraded = rows(engine, query)
    for rejected in ("UPDATE users SET role = 'king'", "DELETE FROM audit_logs"):
        with pytest.raises(DBAPIError):
            execute(engine, rejected)
    execute(engine, f"UPDATE users SET display_name = '{LONG_NAME}'")
    migrate(database_url, "downgrade", "0004")
    execute(engine, "UPDATE audit_logs SET action = 'changed'")
    downgraded = rows(engine, query)
    migrate(database_url, "upgrade", "0005")

    assert upgraded == [("user", "Ann", 1, "user.registered")]
    assert downgraded == rows(engine, query) == [("user", LONG_NAME, 1, "changed")]
    with pytest.raises(DBAPIError, match="append-only"):
        execute(engine, "DELETE FROM audit_logs")
