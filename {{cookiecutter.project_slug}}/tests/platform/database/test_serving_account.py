"""The account that serves may neither change append-only tables nor alter tables, and the whole API works with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from app import create_app
from app.platform.database.append_only import append_only_tables
from app.platform.database.base import db
from tests.conftest import MIGRATED
from tests.environments import SECRETS, basic_environment
from tests.migrations.flask_command import flask
from tests.route_calls import RouteCaller
from tests.servers import PostgresServer
from tests.unique_values import unique_number

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F58")]

PRODUCTION = {"APP_ENV": "production", "REDIS_URL": "redis://127.0.0.1:1/0"}
WARNING = "warning: the database account of DATABASE_URL may change append-only tables"


@dataclass
class Accounts:
    """A database with an owner, and the name of an account that serves."""

    owner_url: str
    name: str
    storage: str

    def url(self, password: str = "first", name: str = "") -> str:
        """Return the URL of an account."""
        url = sa.make_url(self.owner_url).set(username=name or self.name, password=password)
        return url.render_as_string(hide_password=False)

    def environment(self, url: str = "", **settings: str) -> dict[str, str]:
        """Return the environment of the container that migrates."""
        urls = {"DATABASE_URL": url or self.url(), "MIGRATION_DATABASE_URL": self.owner_url}
        return basic_environment(**{**urls, "STORAGE_URL": self.storage, "DB_WAIT_SECONDS": "1", **settings})

    def serving(self, **settings: str) -> dict[str, str]:
        """Return the environment of the containers that serve: without the owner's URL."""
        return self.environment(MIGRATION_DATABASE_URL="", **settings)


@pytest.fixture(scope="module")
def accounts(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """A migrated database whose serving account `flask init-db` has created."""
    number = unique_number()
    owner_url = postgres.create_database(f"accounts_{number}", template=MIGRATED)
    accounts = Accounts(owner_url, f"serving_{number}", tmp_path_factory.mktemp("storage").as_uri())
    created = flask("init-db", environment=accounts.environment())
    assert (created.returncode, f"created the account serving_{number}" in created.stdout) == (0, True), created.stderr
    yield accounts
    postgres.drop_database(f"accounts_{number}")


@pytest.fixture
def connection(accounts: Accounts) -> Iterator[sa.Connection]:
    """A connection of the account that serves."""
    engine = sa.create_engine(accounts.url().replace("://", "+psycopg://"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET action = 'test.forged'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "UPDATE audit_seals SET last_id = 0",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
        "ALTER TABLE audit_logs DISABLE TRIGGER USER",
        "DROP TRIGGER audit_logs_append_only ON audit_logs",
        "CREATE OR REPLACE FUNCTION audit_logs_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
        "DROP TABLE audit_logs",
        "DROP TABLE users",
        "ALTER TABLE users ADD COLUMN forged INTEGER",
        "CREATE TABLE forged (id INTEGER)",
        "UPDATE alembic_version SET version_num = '0001'",
        "SET session_replication_role = replica",
        "INSERT INTO audit_logs (id, created_at, action, details) VALUES (0, now(), 'test.forged', '{}')",
        "INSERT INTO audit_logs VALUES (9223372036854775807, now(), 7, 'test.forged', '', '', '', '', '{}')",
        "SELECT nextval('audit_logs_id_seq')",
        "SELECT setval('audit_logs_id_seq', 1)",
        "CREATE TEMP TABLE audit_logs (LIKE public.audit_logs INCLUDING ALL)",
        "CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_account_that_serves_is_refused(connection: sa.Connection, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        connection.execute(sa.text(statement))


def test_every_route_works_with_the_account_that_serves(accounts: Accounts) -> None:
    app = create_app(accounts.serving())
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        caller = RouteCaller(app, session, 1)
        caller.call_all()
        entries = session.scalar(sa.text("SELECT count(*) FROM audit_logs"))
    verified = [app.test_cli_runner().invoke(args=["audit-log", command]).exit_code for command in ("seal", "verify")]
    engine.dispose()

    assert len(caller.called) > 30
    assert entries is not None
    assert entries > 10
    assert verified == [0, 0]


def test_container_that_serves_starts_without_the_owner(accounts: Accounts) -> None:
    prepared = flask("prepare", environment=accounts.serving(**PRODUCTION))

    assert prepared.returncode == 0, prepared.stderr
    assert WARNING not in prepared.stderr


def test_one_account_for_everything_is_a_warning_in_production(accounts: Accounts) -> None:
    for environment, warns in ((PRODUCTION, True), ({}, False)):
        prepared = flask("prepare", environment=accounts.serving(DATABASE_URL=accounts.owner_url, **environment))
        assert (prepared.returncode, WARNING in prepared.stderr) == (0, warns), prepared.stderr


def test_account_that_serves_cannot_migrate(postgres: PostgresServer, accounts: Accounts) -> None:
    name = f"behind_{unique_number()}"
    empty = sa.make_url(postgres.create_database(name)).set(username=accounts.name, password="first")

    prepared = flask("prepare", environment=accounts.serving(DATABASE_URL=empty.render_as_string(hide_password=False)))
    postgres.drop_database(name)

    assert prepared.returncode == 1
    assert "Set MIGRATION_DATABASE_URL to the owner of the tables, and run `flask init-db`" in prepared.stdout
    assert "Traceback" not in prepared.stderr


def test_password_follows_the_setting(accounts: Accounts) -> None:
    changed = flask("init-db", environment=accounts.environment(accounts.url("second")))
    unchanged = flask("init-db", environment=accounts.environment(accounts.url("second")))
    back = flask("init-db", environment=accounts.environment())

    for run, sets in ((changed, True), (unchanged, False), (back, True)):
        assert (run.returncode, "set the password of the account" in run.stdout) == (0, sets), run.stderr


def test_password_of_an_account_that_others_created_is_not_changed(
    postgres: PostgresServer, accounts: Accounts
) -> None:
    name = f"other_{unique_number()}"
    postgres.create_role(name, "its password")

    wrong = flask("init-db", environment=accounts.environment(accounts.url("wrong", name)))
    right = flask("init-db", environment=accounts.environment(accounts.url("its password", name)))

    assert (wrong.returncode, "password authentication failed" in wrong.stderr) == (1, True)
    assert (right.returncode, "set the password" in right.stdout) == (0, False)


def test_owner_that_may_not_create_accounts_says_what_to_run(postgres: PostgresServer, accounts: Accounts) -> None:
    owner = f"owner_{unique_number()}"
    postgres.create_role(owner, "its password")
    urls = {"MIGRATION_DATABASE_URL": accounts.url("its password", owner)}

    run = flask("init-db", environment=accounts.environment(accounts.url("first", f"missing_{owner}"), **urls))

    assert run.returncode == 1
    assert f"Run as an administrator: CREATE ROLE missing_{owner} LOGIN PASSWORD" in run.stderr


def test_new_tables_and_old_rights_are_corrected_by_each_migration(accounts: Accounts) -> None:
    engine = sa.create_engine(accounts.owner_url.replace("://", "+psycopg://"))
    with engine.begin() as owner:
        owner.exec_driver_sql(f"GRANT INSERT, UPDATE, DELETE ON audit_logs TO {accounts.name}")
        owner.exec_driver_sql(f"REVOKE ALL ON users FROM {accounts.name}")

    upgraded = flask("db", "upgrade", environment=accounts.environment())
    query = sa.text(
        "SELECT has_table_privilege(:name, 'users', 'UPDATE'), has_table_privilege(:name, :table, 'UPDATE'), "
        "has_column_privilege(:name, 'audit_logs', 'id', 'INSERT')"
    )
    with engine.begin() as owner:
        rights = [owner.execute(query, {"name": accounts.name, "table": table.name}).one() for table in protected()]
    engine.dispose()

    assert upgraded.returncode == 0, upgraded.stderr
    assert {tuple(row) for row in rights} == {(True, False, False)}


def protected() -> list[sa.Table]:
    """Return the append-only tables."""
    return append_only_tables(db.metadata)


def test_passwords_are_not_printed(accounts: Accounts) -> None:
    run = flask("init-db", environment=accounts.environment(accounts.url(SECRETS["METRICS_TOKEN"])))
    flask("init-db", environment=accounts.environment())

    assert SECRETS["METRICS_TOKEN"] not in run.stdout + run.stderr
