"""A migration that the database rejects or interrupts ends in words that say what to do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.environments import basic_environment
from tests.migrations.flask_command import flask
from tests.migrations.interruptions import Migrations, schema
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer
from tests.statements import listening_to_every_engine

pytestmark = [pytest.mark.running, pytest.mark.req("D3")]

# The connection that holds the migration lock.
LOCK_HOLDER = {
    "postgresql": "SELECT pid FROM pg_locks WHERE locktype = 'advisory'",
    "mysql": "SELECT IS_USED_LOCK(CONCAT(DATABASE(), '.migration'))",
}
THIS_CONNECTION = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


@pytest.fixture
def database_url(database_server: PostgresServer | InstalledServer) -> Iterator[str]:
    """The URL of an empty database of a server."""
    name = f"errors_{secrets.token_hex(4)}"
    yield database_server.create_database(name)
    database_server.drop_database(name)


@contextmanager
def killed_at_first_table(engine: sa.Engine, connection_id: dict[str, str]) -> Iterator[None]:
    """Kill a connection when the first revision has created its first table."""

    def kill(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if "CREATE TABLE users" in statement:
            victim = connection.exec_driver_sql(connection_id[engine.dialect.name]).scalar_one()
            with engine.connect() as other:
                other.exec_driver_sql(KILL[engine.dialect.name].format(victim))

    with listening_to_every_engine("after_cursor_execute", kill):
        yield


@pytest.mark.parametrize(
    ("connection_id", "words"),
    [
        (LOCK_HOLDER, "The connection that held the migration lock was lost"),
        (THIS_CONNECTION, "The database does not answer, or has closed the connection."),
    ],
)
@pytest.mark.fault("F63")
def test_migration_that_loses_a_connection_says_so_and_can_be_repeated(
    migrations: Migrations,
    engine: sa.Engine,
    caplog: pytest.LogCaptureFixture,
    connection_id: dict[str, str],
    words: str,
) -> None:
    with killed_at_first_table(engine, connection_id), pytest.raises(SystemExit):
        migrations.run("upgrade", "head")
    migrations.run("upgrade", "head")

    assert words in caplog.text
    assert any("erasures" in part for parts in schema(engine) for part in parts)


@pytest.fixture
def reader_url(database_url: str, engine: sa.Engine) -> Iterator[str]:
    """The URL of an account that may only read."""
    name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    is_postgresql = engine.dialect.name == "postgresql"
    account = name if is_postgresql else f"'{name}'@'%%'"
    rights = (
        f"CREATE ROLE {name} LOGIN PASSWORD '{password}'"
        if is_postgresql
        else (f"GRANT SELECT ON {sa.make_url(database_url).database}.* TO {account} IDENTIFIED BY '{password}'")
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(rights)
    url = sa.make_url(database_url).set(username=name, password=password)
    yield url.render_as_string(hide_password=False)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"DROP {'ROLE' if is_postgresql else 'USER'} {account}")


@pytest.mark.parametrize("command", [("db", "upgrade"), ("init-db",)])
def test_account_without_the_right_to_create_tables_is_told_so(reader_url: str, command: tuple[str, ...]) -> None:
    run = flask(*command, environment=basic_environment(DATABASE_URL=reader_url))

    assert run.returncode == 1
    assert "The account lacks a right that the migration needs. Set MIGRATION_DATABASE_URL" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_locked_table_is_named_as_the_reason(database_url: str, migrations: Migrations, engine: sa.Engine) -> None:
    migrations.run("upgrade", "head")
    environment = basic_environment(DATABASE_URL=database_url, MIGRATION_LOCK_TIMEOUT_MS="300")

    with engine.connect() as connection:
        connection.execute(sa.text("SELECT count(*) FROM user_sessions"))  # holds its lock until the transaction ends
        run = flask("db", "downgrade", "base", environment=environment)

    assert run.returncode == 1
    assert "Another transaction has used the table for longer than MIGRATION_LOCK_TIMEOUT_MS" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    migrations.run("downgrade", "base")
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(sa.text("SELECT count(*) FROM user_sessions"))
