"""The database: the base class of models, column types, the engine, and the readiness check."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import make_url

from app.platform.database import errors, repetition, statement_budget
from app.platform.database.deferred_commit import Action, DeferrableSession, after_rollback, is_deferred
from app.platform.database.encryption import Keyring, set_keyring
from app.platform.database.engine import connect_arguments, engine_options, install_client_timeouts
from app.platform.database.pool_metrics import instrument_pool
from app.platform.database.statement_tracing import trace_engine
from app.platform.settings.declarations import Settings, settings_of
from app.platform.telemetry.dependency_checks import register_dependency_check

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# 64 bits; SQLite generates ids for plain INTEGER columns only.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time on every database, with or without time zone support; rejects naive times."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Store microseconds on MySQL too."""
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert to UTC; raises `ValueError` for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; use datetime.now(UTC)")
        return value.astimezone(UTC) if dialect.name == "postgresql" else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# MariaDB and MySQL compare text as bytes, like PostgreSQL and SQLite do, with any default of the server.
TEXT_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


class Base(orm.DeclarativeBase):
    """Base of every model."""

    registry = orm.registry(
        metadata=sa.MetaData(naming_convention=NAMING_CONVENTION),
        type_annotation_map={datetime: UtcDateTime, int: BigId},
    )


# Rows are not reloaded after a commit: a request uses the values that it wrote.
db = SQLAlchemy(model_class=Base, session_options={"class_": DeferrableSession, "expire_on_commit": False})
migrate = Migrate()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model  # Flask-SQLAlchemy creates this class at run time, so type checkers use its base


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def rows_changed(session: orm.Session, statement: sa.UpdateBase) -> int:
    """Run an INSERT, UPDATE or DELETE, and return the number of rows that it changed."""
    return cast("sa.CursorResult[Any]", session.execute(statement)).rowcount


def lock_sqlite(session: orm.Session) -> None:
    """Lock the whole database until the commit if it is SQLite, which has no row locks; call it before you read."""
    connection = session.connection()
    if connection.dialect.name == "sqlite" and not cast(Any, connection.connection).in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def autocommit_connection() -> AbstractContextManager[sa.Connection]:
    """Return a connection for a request that sends exactly one statement, a read or a write; committed at the end.

    On PostgreSQL that is one round trip instead of three with BEGIN and COMMIT. A session, which tracks objects, costs
    twice the CPU time for it (`make bench` of the template). Use a session for more than one statement.
    """
    if db.session.registry.has() and (db.session().in_transaction() or is_deferred(db.session())):
        # A second connection could deadlock: every thread may wait for one while it uses its first.
        return _session_connection()
    engine = db.engine
    if engine.dialect.name != "postgresql":  # other drivers need extra round trips for it
        return engine.begin()
    # An option of the engine would register a listener, which costs a profile read 6 % of its time.
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _session_connection() -> Iterator[sa.Connection]:
    yield db.session.connection()
    db.session.commit()


@contextmanager
def undo_on_failure(undo: Action) -> Iterator[None]:
    """Undo an effect outside the database, such as a count, if the `with` block fails, or its deferred commit later."""
    try:
        yield
    except BaseException:
        undo()
        raise
    if db.session.registry.has():  # most requests without a deferred commit need no session
        after_rollback(db.session(), undo)


def init_app(app: Flask) -> None:
    """Connect the app to its database; no connection is opened yet."""
    settings = settings_of(app)
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    for table in db.metadata.tables.values():
        table.kwargs.update(TEXT_OPTIONS)
    db.init_app(app)
    migrate.init_app(app, db, compare_type=True, render_as_batch=True)
    errors.init_app(app)
    repetition.init_app(app)
    with app.app_context():
        engine = db.engine
        register_dependency_check(app, "database", database_check(settings))
    set_keyring(engine, Keyring(settings.encryption_keys, accepts_unbound=settings.ENCRYPTION_ACCEPT_UNBOUND))
    install_client_timeouts(engine, settings)
    errors.drop_unusable_connections(engine)
    statement_budget.init_app(app)
    trace_engine(app, engine)
    instrument_pool(engine)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
    # A forked process that used its parent's connections would read the parent's results.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def migration_engine(settings: Settings) -> sa.Engine:
    """Return an engine for migrations, which lock the session of the database; needs an app context."""
    url = settings.migration_database_url
    return unpooled_engine(settings, make_url(url) if url else None)


def unpooled_engine(settings: Settings, url: sa.URL | None = None) -> sa.Engine:
    """Return a second engine that keeps no connections, by default to the app's database; needs an app context."""
    url = url or db.engine.url
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args=connect_arguments(url, settings))


def database_check(settings: Settings) -> Callable[[], None]:
    """Return a check that runs a query on a separate connection, so that a busy pool does not look like a failure.

    The check raises if the database does not answer.
    """
    engine = unpooled_engine(settings)

    def check() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))

    return check
