"""Alembic environment: one migration at a time, bounded waits, no migration of a database newer than the code."""

from __future__ import annotations

import fcntl
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO, Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp, MigrationScript, UpgradeOps
from alembic.util import CommandError
from flask import current_app
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from app.platform.database.base import UtcDateTime, db, migration_engine
from app.platform.database.encryption import EncryptedText
from app.platform.database.migration_errors import LOCK_LOST, errors_in_words
from app.platform.database.migration_journal import MigrationJournal
from app.platform.database.serving_account import grant
from app.platform.retries import attempts
from app.platform.settings.declarations import Settings, settings_of

# PostgreSQL identifies advisory locks by number. This number is arbitrary, but must be the same in every release.
ADVISORY_LOCK_ID = 7_236_514_028
POLL_SECONDS = 0.2
ACCEPT_LOSS = "accept-loss"
WAITED = "Another migration has been running for {} s. Find out what it waits for, then retry."
# The table that a revision creates, or the new name that it gives to one.
CREATED_TABLE = re.compile(r"""op\.(?:create_table\(|rename_table\(\s*["'][^"']+["'],)\s*["']([^"']+)["']""")


def run_offline() -> None:
    """Print the migrations as SQL instead of running them."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # the log would mix with the SQL on standard output
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online(settings: Settings) -> None:
    """Run the migrations on the configured database."""
    engine = migration_engine(settings)  # without the timeouts of the app's own engine
    with migration_lock(engine, settings.MIGRATION_LOCK_WAIT_SECONDS), engine.connect() as connection:
        set_timeouts(connection, settings)
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_type=True,
            render_as_batch=True,  # SQLite supports only this way to alter a table
            render_item=render_item,
            include_object=is_own,
            process_revision_directives=sort_dropped_tables,
            transaction_per_migration=True,
        )
        reject_newer_database()
        connection.rollback()  # ends the read transaction: Alembic commits only transactions that it began itself
        journal = record_revisions(connection)
        with upgrade_hint(), context.begin_transaction():
            context.run_migrations()
        journal.drop()
        grant(connection, settings)


def record_revisions(connection: sa.Connection) -> MigrationJournal:
    """Make the journal record what each revision does, and skip what a revision that stopped half-way has done."""
    journal = MigrationJournal(connection)
    for script in context.script.walk_revisions():
        for direction in ("upgrade", "downgrade"):
            if migration := getattr(script.module, direction, None):
                wrapped = journal.wrap(f"{direction} of revision {script.revision}", migration)
                setattr(script.module, direction, wrapped)
        if hasattr(script.module, "LOSSES"):
            setattr(script.module, "downgrade", reject_loss(connection, script.module))  # noqa: B010 - a module's own name
    return journal


def reject_loss(connection: sa.Connection, module: Any) -> Callable[..., None]:
    """Return the downgrade of a revision, which raises `CommandError` if it would delete what `LOSSES` finds.

    `LOSSES`: what is lost, in words, and a query that returns a row if there is any. `-x accept-loss` accepts it.
    """
    downgrade = module.downgrade

    @wraps(downgrade)
    def checked(**kwargs: Any) -> None:
        lost = [what for what, query in module.LOSSES.items() if _finds_row(connection, query)]
        if lost and ACCEPT_LOSS not in context.get_x_argument():
            raise CommandError(
                f"The downgrade of revision {module.revision} deletes {' and '.join(lost)}. A rollback to an earlier "
                f"release needs no downgrade. To accept the loss, make a backup, and add: -x {ACCEPT_LOSS}"
            )
        downgrade(**kwargs)

    return checked


def _finds_row(connection: sa.Connection, query: str) -> bool:
    """Whether a query returns a row; it does not if a downgrade that stopped half-way has dropped the table."""
    try:
        return connection.execute(sa.text(query)).first() is not None
    except (ProgrammingError, OperationalError):
        return False


def is_own(_item: object, name: str | None, kind: str, reflected: bool, model: object) -> bool:
    """Whether to compare a table with the models: those of other programs in the same database are left alone."""
    return kind != "table" or not reflected or model is not None or name in _tables_of_revisions()


@cache
def _tables_of_revisions() -> frozenset[str]:
    """Return the names of all tables that a revision creates or renames: without its model, such a table is dropped."""
    revisions = (Path(script.path).read_text(encoding="utf-8") for script in context.script.walk_revisions())
    return frozenset(name for text in revisions for name in CREATED_TABLE.findall(text))


def sort_dropped_tables(_context: object, _revision: object, scripts: list[MigrationScript]) -> None:
    """Drop tables before the tables that they reference: Alembic sorts the tables to drop by name."""
    for script in scripts:
        for upgrade, downgrade in zip(script.upgrade_ops_list, script.downgrade_ops_list, strict=True):
            order = _drop_order(upgrade)
            upgrade.ops.sort(key=lambda operation: order.get(getattr(operation, "table_name", ""), -1))
            upgrade.reverse_into(downgrade)


def _drop_order(upgrade: UpgradeOps) -> dict[str, int]:
    """Return the position of each dropped table."""
    tables = {drop.table_name: drop.to_table() for drop in upgrade.ops if isinstance(drop, DropTableOp)}
    references = {
        name: {key.target_fullname.partition(".")[0] for key in table.foreign_keys} - {name}
        for name, table in tables.items()
    }
    referenced_first = [name for name in TopologicalSorter(references).static_order() if name in tables]
    return {name: position for position, name in enumerate(reversed(referenced_first))}


@contextmanager
def upgrade_hint() -> Iterator[None]:
    """Append the command `flask db upgrade` to Alembic's error "Target database is not up to date."."""
    try:
        yield
    except CommandError as error:
        if "not up to date" not in str(error):
            raise
        raise CommandError(f"{error} Run: flask db upgrade") from error


@contextmanager
def migration_lock(engine: sa.Engine, timeout: float) -> Iterator[None]:
    """Hold the migration lock of the database; wait at most `timeout` seconds, then raise `CommandError`.

    The wait is a poll. A blocking lock statement would keep a transaction open, and `CREATE INDEX CONCURRENTLY` in the
    other process would wait for that transaction: a deadlock.
    """
    statements = _lock_statements(engine)
    if statements is None:
        with _file_lock(engine, timeout):
            yield
        return
    acquire, release = statements
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for attempt in attempts(CommandError, timeout=timeout, first_pause=POLL_SECONDS, max_pause=POLL_SECONDS):
            with attempt:
                _acquire_lock(connection, acquire, timeout)
        try:
            yield
        except BaseException:
            _release_lock(connection, release)
            raise
        if not _release_lock(connection, release):
            raise CommandError(LOCK_LOST)


@contextmanager
def _file_lock(engine: sa.Engine, timeout: float) -> Iterator[None]:
    """Hold a lock on a file beside a SQLite database: a lock in the database would end with each commit."""
    with engine.connect() as connection:
        database = connection.scalar(sa.text("SELECT file FROM pragma_database_list WHERE name = 'main'"))
    if not database:
        yield  # it is in memory
        return
    with Path(f"{database}.migration-lock").open("w", encoding="utf-8") as file:
        for attempt in attempts(CommandError, timeout=timeout, first_pause=POLL_SECONDS, max_pause=POLL_SECONDS):
            with attempt:
                _acquire_file_lock(file, timeout)
        yield


def _acquire_file_lock(file: IO[str], timeout: float) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(WAITED.format(timeout)) from None


def _acquire_lock(connection: sa.Connection, acquire: sa.TextClause, timeout: float) -> None:
    if not connection.execute(acquire).scalar():
        raise CommandError(WAITED.format(timeout))


def _release_lock(connection: sa.Connection, release: sa.TextClause) -> bool:
    """Release the lock; return False if the connection that held it was lost."""
    try:
        return bool(connection.execute(release).scalar())
    except DBAPIError:
        return False


def _lock_statements(engine: sa.Engine) -> tuple[sa.TextClause, sa.TextClause] | None:
    match engine.dialect.name:
        case "postgresql":
            acquire, release = f"pg_try_advisory_lock({ADVISORY_LOCK_ID})", f"pg_advisory_unlock({ADVISORY_LOCK_ID})"
        case "mysql" | "mariadb":  # lock names are shared by all databases of the server
            name = "CONCAT(DATABASE(), '.migration')"
            acquire, release = f"GET_LOCK({name}, 0)", f"RELEASE_LOCK({name})"
        case _:
            return None
    return sa.text(f"SELECT {acquire}"), sa.text(f"SELECT {release}")


def set_timeouts(connection: sa.Connection, settings: Settings) -> None:
    """Bound lock waits (traffic on the table queues behind a waiting statement) and statement times."""
    milliseconds = settings.MIGRATION_LOCK_TIMEOUT_MS
    match connection.dialect.name:
        case "postgresql":
            limits = [
                f"lock_timeout = {milliseconds}",
                f"statement_timeout = {settings.MIGRATION_STATEMENT_TIMEOUT_MS}",
                "idle_in_transaction_session_timeout = 0",  # a revision may compute between its statements
            ]
        case "mysql" | "mariadb":
            limits = [f"lock_wait_timeout = {max(1, milliseconds // 1000)}"]
        case _:
            limits = []
    for limit in limits:
        connection.execute(sa.text(f"SET SESSION {limit}"))
    connection.commit()  # a rollback would reset the limits


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Render the app's column types as SQLAlchemy types: a migration must not change when the app changes."""
    if kind == "type" and isinstance(item, EncryptedText):
        return "sa.Text()"
    if kind != "type" or not isinstance(item, UtcDateTime):
        return False
    autogen.imports.add("from sqlalchemy.dialects import mysql")
    return 'sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")'


def reject_newer_database() -> None:
    """Raise `CommandError` if the database is at a revision that this release does not have."""
    release_revisions = {script.revision for script in context.script.walk_revisions()}
    unknown = [head for head in context.get_context().get_current_heads() if head not in release_revisions]
    if unknown:
        raise CommandError(
            f"The database is at revision {', '.join(unknown)}, which this release does not have: the "
            "database is ahead of the code. Start the newer release, or use it to downgrade the database first."
        )


if context.is_offline_mode():
    run_offline()
else:
    with errors_in_words():
        run_online(settings_of(current_app))  # the flask command has an app; nosemgrep: request-or-app-at-import
