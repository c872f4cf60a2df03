"""Migrations: upgrade and downgrade with data, no drift, one at a time, and no run on a newer database."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.platform.database.base import db
from tests.accounts.factory import bearer, make_session, make_user
from tests.environments import basic_environment
from tests.migrations.flask_command import flask
from tests.servers.installed import driver_url


@pytest.fixture
def _upgrade_afterwards(environment: Mapping[str, str]) -> Iterator[None]:
    yield
    assert flask("db", "upgrade", environment=environment).returncode == 0


@pytest.mark.usefixtures("_upgrade_afterwards")
@pytest.mark.req("D2")
def test_downgrade_and_upgrade_with_data_leave_no_drift(
    app: Flask, environment: Mapping[str, str], session: Session, user: User
) -> None:
    make_session(session, user)
    session.close()

    down = flask("db", "downgrade", "-x", "accept-loss", "base", environment=environment)
    with app.app_context():
        remaining = set(sa.inspect(db.engine).get_table_names())
    up = flask("db", "upgrade", environment=environment)
    check = flask("db", "check", environment=environment)

    assert [run.returncode for run in (down, up, check)] == [0, 0, 0]
    assert remaining == {"alembic_version"}
    assert "No new upgrade operations detected." in check.stdout


@pytest.mark.req("D1")
def test_database_has_every_named_check_constraint(app: Flask) -> None:
    with app.app_context():
        inspector = sa.inspect(db.engine)
        existing = {
            name: {check["name"] for check in inspector.get_check_constraints(name)} for name in db.metadata.tables
        }

    for name, table in db.metadata.tables.items():
        checks = {item.name for item in table.constraints if isinstance(item, sa.CheckConstraint)}
        assert checks <= existing[name], name


@pytest.mark.req("D2")
def test_check_reports_a_missing_migration(app: Flask, environment: Mapping[str, str]) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE users ADD COLUMN unmigrated INTEGER"))
    try:
        check = flask("db", "check", environment=environment)
    finally:
        with app.app_context():
            db.engine.dispose()  # connections of SQLite cache the table
            with db.engine.begin() as connection:
                connection.execute(sa.text("ALTER TABLE users DROP COLUMN unmigrated"))

    assert check.returncode != 0
    assert "unmigrated" in check.stdout + check.stderr


@pytest.mark.req("D2")
def test_revisions_are_linear() -> None:
    heads = flask("db", "heads", environment=basic_environment())
    branches = flask("db", "branches", environment=basic_environment())

    assert len(heads.stdout.strip().splitlines()) == 1, (
        "two migrations have the same parent: set down_revision of the newer one to the other"
    )
    assert branches.stdout.strip() == ""


@pytest.mark.fault("F46")
@pytest.mark.req("D2")
@pytest.mark.parametrize("command", ["migrate", "check"])
def test_autogenerate_on_an_old_database_names_the_command(command: str, tmp_path: Path) -> None:
    run = flask("db", command, environment=basic_environment(DATABASE_URL=f"sqlite:///{tmp_path}/empty.db"))

    assert run.returncode != 0
    assert "Target database is not up to date. Run: flask db upgrade" in run.stdout + run.stderr


@pytest.mark.req("D3")
def test_newer_database_is_rejected_with_a_message(migrated_database: str) -> None:
    engine = sa.create_engine(driver_url(migrated_database))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'f00d'"))
    engine.dispose()

    run = flask("db", "upgrade", environment=basic_environment(DATABASE_URL=migrated_database))

    assert run.returncode != 0
    assert "is at revision f00d, which this release does not have" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.req("D3")
def test_migration_lock_wait_is_bounded(empty_database: str) -> None:
    engine = sa.create_engine(driver_url(empty_database))
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(7236514028)"))
        started = time.monotonic()
        run = flask(
            "db",
            "upgrade",
            environment=basic_environment(DATABASE_URL=empty_database, MIGRATION_LOCK_WAIT_SECONDS="1"),
        )
        seconds = time.monotonic() - started
    engine.dispose()

    assert run.returncode != 0
    assert "Another migration has been running for 1 s." in run.stdout + run.stderr
    assert seconds < 60


@pytest.mark.req("D3")
@pytest.mark.fault("F63")
def test_migrations_of_sqlite_wait_for_each_other(tmp_path: Path) -> None:
    environment = basic_environment(DATABASE_URL=f"sqlite:///{tmp_path}/app.db")

    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: flask("db", "upgrade", environment=environment), range(3)))

    assert [run.returncode for run in runs] == [0, 0, 0], [run.stderr for run in runs]


@pytest.mark.req("D3")
def test_wait_for_the_migration_of_sqlite_is_bounded(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/app.db", "MIGRATION_LOCK_WAIT_SECONDS": "1"}
    with (tmp_path / "app.db.migration-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        run = flask("db", "upgrade", environment=basic_environment(**settings))

    assert run.returncode != 0
    assert "Another migration has been running for 1 s." in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


LOST = [
    ("0014", "INSERT INTO location_sharing (user_id, created_at) VALUES (1, '2026-01-01')", "who shares positions"),
    ("0014", "UPDATE users SET processing_restricted = TRUE", "whose processing is restricted"),
    ("0013", "INSERT INTO user_totp (user_id, created_at) VALUES (1, '2026-01-01')", "the second factors of users"),
    ("0013", "UPDATE users SET unverified_since = '2026-01-01'", "which e-mail addresses are not verified"),
    ("0012", "UPDATE users SET suspended_at = '2026-01-01'", "who is suspended"),
    ("0010", "INSERT INTO audit_seals VALUES (1, '2026-01-01', 1, 0, '', '', '', '')", "the seals of the audit log"),
]


@pytest.mark.req("D2")
@pytest.mark.fault("F63")
@pytest.mark.parametrize(("revision", "statement", "what"), LOST, ids=[what for _, _, what in LOST])
def test_downgrade_deletes_nothing_unless_that_is_accepted(
    database_url: str, revision: str, statement: str, what: str
) -> None:
    environment, before = basic_environment(DATABASE_URL=database_url), f"{int(revision) - 1:04}"
    assert flask("db", "upgrade", revision, environment=environment).returncode == 0
    engine = sa.create_engine(driver_url(database_url))
    with engine.begin() as connection:
        columns = "(id, email, password_hash, role, created_at, updated_at)"
        values = "(1, 'ann@example.org', '-', 'user', '2026-01-01', '2026-01-01')"
        connection.execute(sa.text(f"INSERT INTO users {columns} VALUES {values}"))
        connection.execute(sa.text(statement))
    engine.dispose()

    rejected = flask("db", "downgrade", before, environment=environment)
    accepted = flask("db", "downgrade", "-x", "accept-loss", before, environment=environment)

    assert (rejected.returncode, accepted.returncode) == (1, 0), rejected.stderr + accepted.stderr
    assert f"The downgrade of revision {revision} deletes {what}." in rejected.stdout + rejected.stderr
    assert "Traceback" not in rejected.stderr


@pytest.mark.req("D3")
def test_migration_fails_when_a_table_is_locked(migrated_database: str) -> None:
    engine = sa.create_engine(driver_url(migrated_database))
    environment = basic_environment(DATABASE_URL=migrated_database, MIGRATION_LOCK_TIMEOUT_MS="300")
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT count(*) FROM user_sessions"))  # holds its lock until the transaction ends
        run = flask("db", "downgrade", "base", environment=environment)
    tables = set(sa.inspect(engine).get_table_names())
    engine.dispose()

    assert run.returncode != 0
    assert "lock timeout. Another transaction has used the table for longer" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert {"users", "user_sessions", "audit_logs"} <= tables


NEXT_RELEASE = """
ALTER TABLE users ADD COLUMN nickname VARCHAR(50);
ALTER TABLE user_sessions ADD COLUMN device VARCHAR(50);
CREATE TABLE places (id BIGINT PRIMARY KEY, user_id BIGINT REFERENCES users (id));
CREATE INDEX ix_users_nickname ON users (nickname);
UPDATE alembic_version SET version_num = 'next';
"""


@pytest.mark.req("D3")
def test_release_runs_on_the_schema_of_the_next_release(migrated_database: str) -> None:
    """During a rollout and after a rollback, old code runs on a schema with additions."""
    app = create_app(basic_environment(DATABASE_URL=migrated_database))
    with app.app_context():
        with db.engine.begin() as connection:
            for statement in NEXT_RELEASE.strip().split("\n"):
                connection.execute(sa.text(statement))
        user = make_user(db.session())
        headers = bearer(app, user)
    client = app.test_client()

    changed = client.patch("/api/v1/users/me", json={"display_name": "Ann"}, headers=headers)
    profile = client.get("/api/v1/users/me", headers=headers)
    ready = client.get("/ready")
    with app.app_context():
        db.engine.dispose()

    assert [response.status_code for response in (changed, profile, ready)] == [200, 200, 200]
    assert profile.get_json()["display_name"] == "Ann"


@pytest.mark.req("D2")
@pytest.mark.fault("F59")
def test_tables_of_other_programs_are_left_alone(database_url: str) -> None:
    environment = basic_environment(DATABASE_URL=database_url)
    assert flask("db", "upgrade", environment=environment).returncode == 0
    engine = sa.create_engine(driver_url(database_url))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE foreign_table (id INTEGER PRIMARY KEY)"))
        connection.execute(sa.text("CREATE INDEX ix_foreign_table ON foreign_table (id)"))
    engine.dispose()

    check = flask("db", "check", environment=environment)

    assert check.returncode == 0, check.stdout + check.stderr
    assert "No new upgrade operations detected." in check.stdout
