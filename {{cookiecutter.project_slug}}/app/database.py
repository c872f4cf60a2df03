"""The database: models' base, column types, the engine, and what the readiness probe asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.dialects import mysql

from app.connections import bound_waiting, connect_arguments, engine_options
from app.observability.pool_metrics import watch_pool
from app.observability.tracing import trace_engine
from app.pings import register_ping
from app.security.encryption import Keyring, attach
from app.settings import Settings, settings_of

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# 64 bits, but SQLite only counts up by itself in a plain INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time on every database, also on those that keep no time zone; refuses naive times."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Keep microseconds on MySQL too."""
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse what has no zone; send UTC."""
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


class Base(orm.DeclarativeBase):
    """Base of every model."""

    registry = orm.registry(
        metadata=sa.MetaData(naming_convention=NAMES), type_annotation_map={datetime: UtcDateTime, int: BigId}
    )


# What was written is not read back after a commit: nobody else has changed it within the request.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model  # the same to a reader; a type checker cannot follow the class that is made at run time


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def one_statement() -> AbstractContextManager[sa.Connection]:
    """A connection for a request that sends a single statement, read or write, and no more; committed at the end.

    On PostgreSQL that is one round trip, and not three with BEGIN and COMMIT. A session, which would keep track of
    objects, costs twice the CPU time for it (`make bench` of the template); where there is more than one statement, it
    is the session that belongs there.
    """
    if db.session.registry.has() and db.session().in_transaction():
        return _through_session()  # a second connection would wait for ever where every thread holds a first one
    engine: sa.Engine = current_app.extensions["statement_engine"]
    return engine.begin()


@contextmanager
def _through_session() -> Iterator[sa.Connection]:
    yield db.session.connection()
    db.session.commit()


def init_app(app: Flask) -> None:
    """Connect the app to its database; nothing is opened yet."""
    settings = settings_of(app)
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    db.init_app(app)
    migrate.init_app(app, db, compare_type=True, render_as_batch=True)
    with app.app_context():
        engine = db.engine
        register_ping(app, "database", make_ping(settings))
    attach(engine, Keyring(settings.encryption_keys))
    bound_waiting(engine, settings)
    trace_engine(app, engine)
    watch_pool(engine)
    autocommits = engine.dialect.name == "postgresql"  # other drivers pay with round trips for it
    app.extensions["statement_engine"] = (
        engine.execution_options(isolation_level="AUTOCOMMIT") if autocommits else engine
    )
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    # A forked process that went on with its parent's connections would read the parent's answers.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def unpooled_engine(settings: Settings) -> sa.Engine:
    """An engine beside the app's own that keeps no connections; needs an app context."""
    url = db.engine.url
    return sa.create_engine(url, poolclass=sa.NullPool, connect_args=connect_arguments(url, settings))


def make_ping(settings: Settings) -> Callable[[], None]:
    """A question to the database over a connection of its own, so that a busy pool does not look like a dead database.

    It raises when there is no answer.
    """
    engine = unpooled_engine(settings)

    def ping() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))

    return ping
