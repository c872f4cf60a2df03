"""What tests stand on: real servers, a database made by the migrations, and an app that talks to them.

`TEST_DATABASE` chooses the database: `postgresql` (with Redis, as in production) or `sqlite` (with nothing else, as on
a fresh machine). `TEST_DATABASE_URL` names a server to use instead, such as MariaDB; its database must be empty.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.audit.models import AuditLog
from app.database import db
from app.redis_client import redis_of
from tests.accounts.factory import make_user
from tests.environments import basic_environment
from tests.servers import PostgresServer, RedisServer, start_postgres, start_redis

MIGRATED = "migrated"  # a database to copy from

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL with a migrated database to copy from."""
    with start_postgres(max_connections=200) as server:
        migrate(basic_environment(DATABASE_URL=server.create_database(MIGRATED)))
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with start_redis() as server:
        yield server


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """The address of a PostgreSQL database without any table."""
    name = f"empty_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def migrated_database(postgres: PostgresServer) -> Iterator[str]:
    """The address of a PostgreSQL database of the test's own, with every table."""
    name = f"migrated_{next(_numbers)}"
    yield postgres.create_database(name, template=MIGRATED)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What the app under test is told."""
    storage = (tmp_path_factory.mktemp("storage") / "files").as_uri()
    if url := os.environ.get("TEST_DATABASE_URL"):
        redis: RedisServer = request.getfixturevalue("redis_server")
        return basic_environment(DATABASE_URL=url, REDIS_URL=redis.url, STORAGE_URL=storage)
    match os.environ.get("TEST_DATABASE", "postgresql"):
        case "sqlite":
            file = tmp_path_factory.mktemp("database") / "app.db"
            return basic_environment(DATABASE_URL=f"sqlite:///{file}", STORAGE_URL=storage)
        case "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres")
            redis = request.getfixturevalue("redis_server")
            url = server.create_database("app")
            return basic_environment(DATABASE_URL=url, REDIS_URL=redis.url, STORAGE_URL=storage)
        case other:
            pytest.exit(f"TEST_DATABASE is {other!r}; choose postgresql or sqlite", returncode=2)


@pytest.fixture(scope="session")
def app(environment: Mapping[str, str]) -> Flask:
    migrate(environment)
    return create_app(environment)


def migrate(environment: Mapping[str, str]) -> None:
    """Bring a database to the newest revision, and let go of it."""
    app = create_app(environment)
    with app.app_context():
        flask_migrate.upgrade(directory=str(Path(__file__).parent.parent / "migrations"))
        db.engine.dispose()


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no rows and no counts to the next test; only the audit log stays, from which nothing can be deleted."""
    yield
    if "app" not in request.fixturenames:
        return
    app: Flask = request.getfixturevalue("app")
    with app.app_context(), db.engine.begin() as connection:
        for table in reversed(db.metadata.sorted_tables):
            if table is not AuditLog.__table__:
                connection.execute(table.delete())
    if redis := redis_of(app):
        redis.flushdb()
    else:
        app.extensions["rate_window"].forget()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with app.app_context():
        engine = db.engine
    # A session beside the app's: under an open context, all requests of a test client would share one `g`.
    with Session(engine) as session:
        yield session


@pytest.fixture
def user(session: Session) -> User:
    return make_user(session)


@pytest.fixture
def other_user(session: Session) -> User:
    return make_user(session)


@pytest.fixture
def audited(app: Flask) -> Callable[[], Sequence[AuditLog]]:
    """Gives the entries of the audit log that were made since the test began, oldest first."""
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        newest = session.scalar(sa.select(sa.func.max(AuditLog.id))) or 0

    def entries() -> Sequence[AuditLog]:
        with Session(engine) as session:
            return session.scalars(sa.select(AuditLog).where(AuditLog.id > newest).order_by(AuditLog.id)).all()

    return entries


@pytest.fixture
def secret() -> str:
    """A value to plant, and to search for afterwards."""
    return f"planted-{secrets.token_hex(16)}"
