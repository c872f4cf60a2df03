"""Tests of revision 0007: e-mails in their normal form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.environments import basic_environment
from tests.migrations.flask_command import flask
from tests.servers.installed import driver_url

TIME = "'2026-01-02 03:04:05'"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """The database at revision 0006."""
    assert migrate(database_url, "0006")[0] == 0
    engine = sa.create_engine(driver_url(database_url))
    if engine.dialect.name in ("mysql", "mariadb"):  # the database may have a character set without these letters
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE users MODIFY email VARCHAR(254) CHARACTER SET utf8mb4 NOT NULL")
    yield engine
    engine.dispose()


def migrate(database_url: str, revision: str) -> tuple[int, str]:
    run = flask("db", "upgrade", revision, environment=basic_environment(DATABASE_URL=database_url))
    return run.returncode, run.stdout + run.stderr


def add_users(engine: sa.Engine, *emails: str) -> None:
    columns = "id, email, password_hash, role, created_at, updated_at"
    insert = f"INSERT INTO users ({columns}) VALUES (:id, :email, '-', 'user', {TIME}, {TIME})"
    with engine.begin() as connection:
        connection.execute(sa.text(insert), [{"id": id_, "email": email} for id_, email in enumerate(emails, 1)])


def emails(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT email FROM users ORDER BY id")).scalars())


@pytest.mark.fault("F22")
@pytest.mark.req("D2")
def test_upgrade_normalizes_emails(database_url: str, engine: sa.Engine) -> None:
    add_users(engine, "ann@example.org", "bob@bücher.example", "e\u0301lodie@example.org", "eve@not..valid\u00fc")

    assert migrate(database_url, "0007")[0] == 0
    assert emails(engine) == ["ann@example.org", "bob@xn--bcher-kva.example", "élodie@example.org", "eve@not..validü"]


@pytest.mark.fault("F22")
@pytest.mark.req("D2")
def test_upgrade_names_users_with_the_same_email(database_url: str, engine: sa.Engine) -> None:
    add_users(engine, "bob@bücher.example", "bob@xn--bcher-kva.example")

    status, output = migrate(database_url, "0007")

    assert status != 0
    assert "The users 1 and 2 have the same e-mail in two forms." in output
    assert emails(engine) == ["bob@bücher.example", "bob@xn--bcher-kva.example"]
