"""Startup of a container: wait for the database, check its connection limit, migrate, and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import click
import flask_migrate
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import exc

from app.platform.components import platform_of
from app.platform.database.base import db, migrate, migration_engine
from app.platform.database.encryption_check import unreadable_samples
from app.platform.database.serving_account import AccountError, ensure_account, serving_account
from app.platform.operations import protection
from app.platform.retries import attempts
from app.platform.settings.checks import SettingsWarnings
from app.platform.settings.declarations import Settings, settings_of
from app.platform.telemetry.dependency_checks import register_health_fact
from app.platform.telemetry.gauges import register_gauge

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.2, 5.0
JITTER_SECONDS = 0.5  # spreads the connections of containers that start together

Seed = Callable[[], str]


class Seeds(list[Seed]):
    """The seeds of one app, in order."""


def init_app(app: Flask) -> None:
    """Add the commands, and the migration state to the detailed health and the metrics."""
    app.cli.add_command(prepare)
    app.cli.add_command(init_database)
    app.cli.add_command(protection.append_only)
    register_health_fact(app, "migrations", migration_state)
    register_gauge(app, "db_migrations_at_head", "1 if the database is at the revision of the code", _at_head)


def register_seed(app: Flask, seed: Seed) -> None:
    """Make `flask init-db` call `seed`, which adds missing rows and returns a line that reports them."""
    platform_of(app).get_or_create(Seeds).append(seed)


def migration_state() -> dict[str, str | bool | None]:
    """Return the revisions of the database and of the code, and whether they are equal."""
    head = _head()
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return {"current": current, "head": head, "at_head": current == head}


def _at_head() -> float:
    """Return 1 if the revisions are equal, else 0; not by `migration_state`: Alembic would log at every scrape."""
    with db.engine.connect() as connection:
        return float(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == _head())


@cache  # the revisions of a running process do not change, and reading them takes 50 ms
def _head() -> str | None:
    return ScriptDirectory.from_config(migrate.get_config()).get_current_head()


@click.command("prepare")
@with_appcontext
def prepare() -> None:
    """Prepare for a role: wait for the database, check its connection limit, and migrate."""
    _prepare(settings_of(current_app))


def _prepare(settings: Settings) -> None:
    """Run all steps in one process: each additional process costs as much CPU as the start of the role itself."""
    for warning in platform_of(current_app).get(SettingsWarnings):
        click.echo(f"warning: {warning}", err=True)
    if serving_account(settings):
        _create_account(settings)
    _wait_for_database(db.engine, settings.DB_WAIT_SECONDS)
    if problem := connection_budget_problem(settings):
        raise click.ClickException(problem)
    for warning in _pooler_warnings(settings):
        click.echo(f"warning: {warning}", err=True)
    if problem := encoding_problem():
        raise click.ClickException(problem)
    flask_migrate.upgrade()
    protection.check(settings)
    _check_encryption()


def _create_account(settings: Settings) -> None:
    """Create the account that serves, if it is missing; raises `ClickException`."""
    _wait_for_database(migration_engine(settings), settings.DB_WAIT_SECONDS)
    try:
        done = ensure_account(settings)
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    if done:
        click.echo(done)


def _check_encryption() -> None:
    """Warn of values that cannot be decrypted; raises `ClickException` if the key of all newest values is missing."""
    for sample in unreadable_samples():
        if sample.has_wrong_key:
            raise click.ClickException(str(sample))
        click.echo(f"warning: {sample}", err=True)


def _wait_for_database(engine: sa.Engine, seconds: int) -> None:
    """Wait until the database answers; raises `ClickException` after that time."""
    for attempt in attempts(
        click.ClickException,
        timeout=seconds,
        first_pause=FIRST_PAUSE_SECONDS,
        max_pause=MAX_PAUSE_SECONDS,
        jitter=JITTER_SECONDS,
    ):
        with attempt:
            _connect(engine, seconds)


def _connect(engine: sa.Engine, seconds: int) -> None:
    """Connect once; raises `ClickException`, and prints the reason, if the database does not answer."""
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        click.echo(f"waiting for the database: {reason}", err=True)
        raise click.ClickException(f"The database did not answer within {seconds} s: {reason}") from error


def _pooler_warnings(settings: Settings) -> Iterator[str]:
    """Yield what the account must set because connections through a pooler accept no settings of the session."""
    if not settings.DB_TRANSACTION_POOLING or db.engine.dialect.name != "postgresql":
        return
    with db.engine.connect() as connection:
        timeout = connection.execute(sa.text("SHOW statement_timeout")).scalar_one()
        isolation = connection.execute(sa.text("SHOW transaction_isolation")).scalar_one()
    if timeout == "0":
        milliseconds = settings.DB_STATEMENT_TIMEOUT_MS
        yield f"statements have no timeout. Set it for the account: ALTER ROLE … SET statement_timeout = {milliseconds}"
    if isolation != "read committed":
        yield (
            f"the isolation level is {isolation}, at which some limits can be exceeded. Set it for the account: "
            "ALTER ROLE … SET default_transaction_isolation = 'read committed'"
        )


def encoding_problem() -> str | None:
    """Return a message if the database cannot store every text, else None."""
    if db.engine.dialect.name != "postgresql":
        return None  # on MariaDB and MySQL the tables have their own character set
    with db.engine.connect() as connection:
        encoding = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
    if encoding == "UTF8":
        return None
    return f"The encoding of the database is {encoding}. Create it again: CREATE DATABASE … ENCODING 'UTF8'."


def connection_budget_problem(settings: Settings) -> str | None:
    """Return a message if the web replicas can open more connections than the server allows, else None."""
    available = None if settings.DB_TRANSACTION_POOLING else _server_connection_limit()
    if available is None:
        return None
    per_process = settings.DB_POOL_SIZE + settings.DB_MAX_OVERFLOW
    needed = settings.WEB_REPLICAS * settings.GUNICORN_WORKERS * per_process
    if needed <= available:
        return None
    return (
        f"{settings.WEB_REPLICAS} replicas (WEB_REPLICAS) x {settings.GUNICORN_WORKERS} workers (GUNICORN_WORKERS) x "
        f"{per_process} connections (DB_POOL_SIZE + DB_MAX_OVERFLOW) are {needed}, but the database server allows "
        f"{available}. Lower one of them, raise max_connections, or use a connection pooler."
    )


def _server_connection_limit() -> int | None:
    """Return the connections that the server allows to users; None if there is no server."""
    match db.engine.dialect.name:
        case "postgresql":
            reserved = "current_setting('superuser_reserved_connections')::int"
            query = f"SELECT current_setting('max_connections')::int - {reserved}"
        case "mysql" | "mariadb":
            query = "SELECT @@max_connections"
        case _:
            return None
    with db.engine.connect() as connection:
        return int(connection.execute(sa.text(query)).scalar_one())


@click.command("init-db")
@with_appcontext
def init_database() -> None:
    """Migrate the database, run the seeds, and verify. Running it again changes nothing."""
    _prepare(settings_of(current_app))
    for seed in platform_of(current_app).get_or_create(Seeds):
        click.echo(seed())
    state = migration_state()
    missing = set(db.metadata.tables) - set(sa.inspect(db.engine).get_table_names())
    if missing or not state["at_head"]:
        raise click.ClickException(f"Incomplete: revision {state['current']}, missing tables: {sorted(missing)}")
    click.echo(f"database ready: revision {state['current']}, {len(db.metadata.tables)} tables")
