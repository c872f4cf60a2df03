"""How migrations run: one at a time, with bounded waits, and never on a database that is newer than the code."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util import CommandError
from flask import current_app

from app.database import UtcDateTime, db, unpooled_engine
from app.security.encryption import EncryptedText
from app.settings import Settings, settings_of

# Advisory locks are numbers; this one has no meaning but to be the same in every release.
LOCK_NUMBER = 7_236_514_028
POLL_SECONDS = 0.2


def run_offline() -> None:
    """Print the SQL instead of running it, and nothing else: the log goes to the same place."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online(settings: Settings) -> None:
    """Run the migrations on the database of the settings."""
    engine = unpooled_engine(settings)  # without the bound on waiting that the app's own engine has
    with only_one(engine, settings.MIGRATION_LOCK_WAIT_SECONDS), engine.connect() as connection:
        give_way(connection, settings)
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_type=True,
            render_as_batch=True,  # the one way to alter a table that works on SQLite too
            render_item=spell_out,
            transaction_per_migration=True,
        )
        refuse_newer_database()
        connection.rollback()  # ends the reading: Alembic commits only transactions that it began itself
        with context.begin_transaction():
            context.run_migrations()


@contextmanager
def only_one(engine: sa.Engine, wait: float) -> Iterator[None]:
    """Hold a lock on the database, waiting at most so many seconds for whoever holds it.

    It is asked for again and again rather than waited for in the database: a waiting statement would be an open
    transaction, for which `CREATE INDEX CONCURRENTLY` in the other process would wait in turn.
    """
    statements = _lock_statements(engine)
    if statements is None:
        yield  # SQLite has one writer, and no lock to ask for
        return
    take, release = statements
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + wait
        while not connection.execute(take).scalar():
            if time.monotonic() > deadline:
                raise CommandError(
                    f"Another migration has been running for {wait} s. See what it waits for, then retry."
                )
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            connection.execute(release)


def _lock_statements(engine: sa.Engine) -> tuple[sa.TextClause, sa.TextClause] | None:
    match engine.dialect.name:
        case "postgresql":
            take, release = f"pg_try_advisory_lock({LOCK_NUMBER})", f"pg_advisory_unlock({LOCK_NUMBER})"
        case "mysql" | "mariadb":  # there, names are the server's and not the database's
            name = "CONCAT(DATABASE(), '.migration')"
            take, release = f"GET_LOCK({name}, 0)", f"RELEASE_LOCK({name})"
        case _:
            return None
    return sa.text(f"SELECT {take}"), sa.text(f"SELECT {release}")


def give_way(connection: sa.Connection, settings: Settings) -> None:
    """Bound how long a statement may wait for a table, behind which all traffic queues, and how long it may take."""
    milliseconds = settings.MIGRATION_LOCK_TIMEOUT_MS
    match connection.dialect.name:
        case "postgresql":
            limits = [
                f"lock_timeout = {milliseconds}",
                f"statement_timeout = {settings.MIGRATION_STATEMENT_TIMEOUT_MS}",
            ]
        case "mysql" | "mariadb":
            limits = [f"lock_wait_timeout = {max(1, milliseconds // 1000)}"]
        case _:
            limits = []
    for limit in limits:
        connection.execute(sa.text(f"SET SESSION {limit}"))
    connection.commit()  # a rollback would take the limits back


def spell_out(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write the app's own column types by what they are made of: a migration must not change when the app does."""
    if kind == "type" and isinstance(item, EncryptedText):
        return "sa.Text()"
    if kind != "type" or not isinstance(item, UtcDateTime):
        return False
    autogen.imports.add("from sqlalchemy.dialects import mysql")
    return 'sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")'


def refuse_newer_database() -> None:
    """Stop before a revision that this code does not have, and so cannot judge."""
    known = {script.revision for script in context.script.walk_revisions()}
    unknown = [revision for revision in context.get_context().get_current_heads() if revision not in known]
    if unknown:
        raise CommandError(
            f"The database is at revision {', '.join(unknown)}, which this release does not have: it is ahead of "
            "the code. Start the newer release, or downgrade the database with the newer release before this one."
        )


if context.is_offline_mode():
    run_offline()
else:
    run_online(settings_of(current_app))
