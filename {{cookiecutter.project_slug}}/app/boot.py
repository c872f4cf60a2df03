"""What happens before a container serves: wait for the database, see that its connections suffice, migrate, fill it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import cache

import click
import flask_migrate
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import exc

from app.configuration import warnings
from app.database import db, migrate
from app.health import register_fact
from app.observability.gauges import register_gauge
from app.settings import Settings, settings_of

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

Seed = Callable[[], str]


def init_app(app: Flask) -> None:
    """Add the commands, and the state of the migrations to the detailed health and the metrics."""
    app.cli.add_command(prepare)
    app.cli.add_command(init_database)
    register_fact(app, "migrations", migrations)
    register_gauge(app, "db_migrations_at_head", "Whether the database is at the revision of the code", _at_head)


def register_seed(app: Flask, seed: Seed) -> None:
    """Have `flask init-db` call `seed`, which adds what is not there yet and says what it did."""
    app.extensions.setdefault("seeds", []).append(seed)


def migrations() -> dict[str, str | bool | None]:
    """The revision of the database, that of the code, and whether they are the same."""
    head = _head()
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return {"current": current, "head": head, "at_head": current == head}


def _at_head() -> float:
    """As `migrations` tells, without the lines that Alembic would log at every scrape."""
    with db.engine.connect() as connection:
        return float(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == _head())


@cache  # the revisions of a running process do not change, and to read them takes it 50 ms
def _head() -> str | None:
    return ScriptDirectory.from_config(migrate.get_config()).get_current_head()


@click.command("prepare")
@with_appcontext
def prepare() -> None:
    """Get ready for a role: wait for the database, see that its connections suffice, and migrate."""
    _prepare(settings_of(current_app))


def _prepare(settings: Settings) -> None:
    """All in one process: each start of another costs as much CPU as the role's own."""
    for line in warnings():
        click.echo(f"warning: {line}", err=True)
    _wait_for_database(settings)
    if complaint := too_many_connections(settings):
        raise click.ClickException(complaint)
    flask_migrate.upgrade()


def _wait_for_database(settings: Settings) -> None:
    """Wait until the database answers, at most DB_WAIT_SECONDS."""
    deadline = time.monotonic() + settings.DB_WAIT_SECONDS
    pause = FIRST_PAUSE_SECONDS
    while (reason := _unreachable()) is not None:
        if time.monotonic() + pause > deadline:
            raise click.ClickException(f"The database did not answer within {settings.DB_WAIT_SECONDS} s: {reason}")
        click.echo(f"waiting for the database: {reason}", err=True)
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - so that ten containers do not knock in step
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _unreachable() -> str | None:
    """Why the database cannot be used, in a line; None when it can."""
    try:
        with db.engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except exc.SQLAlchemyError as error:
        return str(getattr(error, "orig", error)).strip().splitlines()[0]
    return None


def too_many_connections(settings: Settings) -> str | None:
    """What is wrong when the web replicas could ask for more connections than the server has; None when they fit."""
    available = _connections_to_have()
    if available is None:
        return None
    per_process = settings.DB_POOL_SIZE + settings.DB_MAX_OVERFLOW
    wanted = settings.WEB_REPLICAS * settings.GUNICORN_WORKERS * per_process
    if wanted <= available:
        return None
    return (
        f"{settings.WEB_REPLICAS} replicas (WEB_REPLICAS) x {settings.GUNICORN_WORKERS} workers (GUNICORN_WORKERS) x "
        f"{per_process} connections (DB_POOL_SIZE + DB_MAX_OVERFLOW) are {wanted}, and the database server has "
        f"{available} to give. Lower one of them, raise max_connections, or put a pooler in between."
    )


def _connections_to_have() -> int | None:
    """How many connections the server gives out; None where there is no server."""
    match db.engine.dialect.name:
        case "postgresql":
            kept_back = "current_setting('superuser_reserved_connections')::int"
            query = f"SELECT current_setting('max_connections')::int - {kept_back}"
        case "mysql" | "mariadb":
            query = "SELECT @@max_connections"
        case _:
            return None
    with db.engine.connect() as connection:
        return int(connection.execute(sa.text(query)).scalar_one())


@click.command("init-db")
@with_appcontext
def init_database() -> None:
    """Migrate the database, add what every installation has, and verify. Running it again changes nothing."""
    _prepare(settings_of(current_app))
    for seed in current_app.extensions.get("seeds", []):
        click.echo(seed())
    state = migrations()
    missing = set(db.metadata.tables) - set(sa.inspect(db.engine).get_table_names())
    if missing or not state["at_head"]:
        raise click.ClickException(f"Not complete: revision {state['current']}, tables missing: {sorted(missing)}")
    click.echo(f"database ready: revision {state['current']}, {len(db.metadata.tables)} tables")
