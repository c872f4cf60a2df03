"""Tests of revision 0013: users that exist before it are verified and have no second factor."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.environments import basic_environment
from tests.migrations.flask_command import flask
from tests.servers.installed import driver_url

TIME = "'2026-01-02 03:04:05'"


def migrate(database_url: str, command: str, revision: str) -> int:
    return flask("db", command, revision, environment=basic_environment(DATABASE_URL=database_url)).returncode


@pytest.mark.req("A10", "D2")
def test_existing_users_are_verified_and_a_downgrade_keeps_them(database_url: str) -> None:
    assert migrate(database_url, "upgrade", "0009") == 0
    engine = sa.create_engine(driver_url(database_url))
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO users (id, email, password_hash, role, created_at, updated_at) "
                f"VALUES (1, 'ann@example.org', '-', 'user', {TIME}, {TIME})"
            )
        )

    assert migrate(database_url, "upgrade", "0013") == 0
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT unverified_since FROM users")).all() == [(None,)]
    assert migrate(database_url, "downgrade", "0009") == 0
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT email FROM users")).all() == [("ann@example.org",)]
    engine.dispose()
