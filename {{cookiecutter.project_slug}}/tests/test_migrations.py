"""Migrations: up, down and up again with data, no drift, one at a time, and never backwards by accident."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.database import db
from tests.accounts.factory import bearer, make_user
from tests.environments import ROOT, basic_environment
from tests.locations.factory import make_location
from tests.servers import clean_environment


def flask(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
        cwd=ROOT,
        env=clean_environment({"FLASK_SKIP_DOTENV": "1", **environment}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def _at_head_afterwards(environment: Mapping[str, str]) -> Iterator[None]:
    yield
    assert flask("db", "upgrade", environment=environment).returncode == 0


@pytest.mark.usefixtures("_at_head_afterwards")
@pytest.mark.req("D2")
def test_down_and_up_again_with_data_and_no_drift(
    app: Flask, environment: Mapping[str, str], session: Session, user: User
) -> None:
    make_location(session, user)
    session.close()

    down = flask("db", "downgrade", "base", environment=environment)
    with app.app_context():
        left = set(sa.inspect(db.engine).get_table_names())
    up = flask("db", "upgrade", environment=environment)
    check = flask("db", "check", environment=environment)

    assert [run.returncode for run in (down, up, check)] == [0, 0, 0]
    assert left == {"alembic_version"}
    assert "No new upgrade operations detected." in check.stdout


@pytest.mark.req("D1")
def test_every_constraint_has_the_name_that_the_convention_gives_it(app: Flask) -> None:
    with app.app_context():
        inspector = sa.inspect(db.engine)
        made = {name: {check["name"] for check in inspector.get_check_constraints(name)} for name in db.metadata.tables}

    for name, table in db.metadata.tables.items():
        checks = {item.name for item in table.constraints if isinstance(item, sa.CheckConstraint)}
        assert checks <= made[name], name


@pytest.mark.req("D2")
def test_a_model_without_a_migration_is_noticed(app: Flask, environment: Mapping[str, str]) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE users ADD COLUMN forgotten INTEGER"))
    try:
        check = flask("db", "check", environment=environment)
    finally:
        with app.app_context():
            db.engine.dispose()  # SQLite looks for the column in what a connection remembers of the table
            with db.engine.begin() as connection:
                connection.execute(sa.text("ALTER TABLE users DROP COLUMN forgotten"))

    assert check.returncode != 0
    assert "forgotten" in check.stdout + check.stderr


@pytest.mark.req("D2")
def test_revisions_are_one_line() -> None:
    heads = flask("db", "heads", environment=basic_environment())
    branches = flask("db", "branches", environment=basic_environment())

    assert len(heads.stdout.strip().splitlines()) == 1, "two migrations have the same parent: renew the later one"
    assert branches.stdout.strip() == ""


@pytest.mark.req("D3")
def test_a_database_ahead_of_the_code_is_refused_in_words(migrated_database: str) -> None:
    engine = sa.create_engine(migrated_database)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'f00d'"))
    engine.dispose()

    run = flask("db", "upgrade", environment=basic_environment(DATABASE_URL=migrated_database))

    assert run.returncode != 0
    assert "is at revision f00d, which this release does not have" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.req("D3")
def test_a_migration_waits_for_another_one_only_so_long(empty_database: str) -> None:
    engine = sa.create_engine(empty_database)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(7236514028)"))
        started = time.monotonic()
        run = flask(
            "db",
            "upgrade",
            environment=basic_environment(DATABASE_URL=empty_database, MIGRATION_LOCK_WAIT_SECONDS="1"),
        )
        took = time.monotonic() - started
    engine.dispose()

    assert run.returncode != 0
    assert "Another migration has been running for 1 s." in run.stdout + run.stderr
    assert took < 30


@pytest.mark.req("D3")
def test_a_migration_gives_way_to_traffic_on_the_table(migrated_database: str) -> None:
    engine = sa.create_engine(migrated_database)
    environment = basic_environment(DATABASE_URL=migrated_database, MIGRATION_LOCK_TIMEOUT_MS="300")
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT count(*) FROM user_locations"))  # holds its lock until the transaction ends
        run = flask("db", "downgrade", "base", environment=environment)
    tables = set(sa.inspect(engine).get_table_names())
    engine.dispose()

    assert run.returncode != 0
    assert "lock timeout" in run.stdout + run.stderr
    assert {"users", "user_locations", "audit_logs"} <= tables


NEXT_RELEASE = """
ALTER TABLE users ADD COLUMN nickname VARCHAR(50);
ALTER TABLE user_locations ADD COLUMN speed DOUBLE PRECISION;
CREATE TABLE places (id BIGINT PRIMARY KEY, user_id BIGINT REFERENCES users (id));
CREATE INDEX ix_users_nickname ON users (nickname);
UPDATE alembic_version SET version_num = 'next';
"""


@pytest.mark.req("D3")
def test_this_release_runs_on_the_schema_of_the_next(migrated_database: str) -> None:
    """While a release is rolled out, and after it is rolled back, old code meets a schema that was added to."""
    app = create_app(basic_environment(DATABASE_URL=migrated_database))
    with app.app_context():
        with db.engine.begin() as connection:
            for statement in NEXT_RELEASE.strip().split("\n"):
                connection.execute(sa.text(statement))
        user = make_user(db.session())
        headers = bearer(app, user)
    client = app.test_client()

    saved = client.post("/api/v1/locations", json={"latitude": 1, "longitude": 2}, headers=headers)
    listed = client.get("/api/v1/locations", headers=headers)
    ready = client.get("/ready")
    with app.app_context():
        db.engine.dispose()

    assert [answer.status_code for answer in (saved, listed, ready)] == [201, 200, 200]
    assert [item["id"] for item in listed.get_json()["items"]] == [saved.get_json()["id"]]
