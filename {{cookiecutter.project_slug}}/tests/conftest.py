"""Fixtures of all tests: real servers, a database that the migrations create, and an app that uses them.

`TEST_DATABASE` selects the database: `postgresql` (with Redis, as in production) or `sqlite` (without servers, as on a
new machine). `TEST_DATABASE_URL` selects another server, such as MariaDB; its database must be empty.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import celery
import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.audit.models import AuditLog
from app.platform.api.rate_limits import limiter_of
from app.platform.components import platform_of
from app.platform.database.base import db
from app.platform.redis.client import redis_of
from app.platform.security import backoff
from app.platform.security.access import ApiKeys
from app.platform.storage import Storage
from app.platform.web.caller import KEY_PREFIX, Caller
from tests import problem_types
from tests.accounts.factory import bearer, make_user
from tests.environments import basic_environment
from tests.platform.storage.factory import folder_storage
from tests.servers import PostgresServer, RedisServer, start_postgres, start_redis
from tests.servers.installed import InstalledServer

MIGRATED = "migrated"  # the template database of PostgreSQL

ReplaceComponent = Callable[[object], None]
ScopedKey = Callable[[User, str], dict[str, str]]

# No test depends on the speed of the machine, and none leaves files behind.
hypothesis_settings.register_profile(
    "service", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("service")

_numbers = count(1)


SERVERS = {"postgres", "redis_server"}  # fixtures that start a server with every TEST_DATABASE
SELECTED_DATABASE = {"environment", "database_url"}  # fixtures that use the database of TEST_DATABASE


@pytest.hookimpl(tryfirst=True)  # before `-m` selects tests
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start a server or use the selected database.

    The former run first: they take longest, and the last file runs alone.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if SERVERS & fixtures:
            item.add_marker("running")
        if SELECTED_DATABASE & fixtures:
            item.add_marker("database")
    items.sort(key=lambda item: item.get_closest_marker("running") is None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server with a migrated template database."""
    with start_postgres(max_connections=200) as server:
        migrate(basic_environment(DATABASE_URL=server.create_database(MIGRATED)))
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with start_redis() as server:
        yield server


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a PostgreSQL database without tables."""
    name = f"empty_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def migrated_database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a new, migrated PostgreSQL database for one test."""
    name = f"migrated_{next(_numbers)}"
    yield postgres.create_database(name, template=MIGRATED)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def database_server(request: pytest.FixtureRequest) -> PostgresServer | InstalledServer:
    """PostgreSQL, or the server of TEST_DATABASE_URL."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        return InstalledServer(url)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of the app under test."""
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
            pytest.exit(f"TEST_DATABASE is {other!r}: set it to postgresql or sqlite", returncode=2)


@pytest.fixture(scope="session")
def app(environment: Mapping[str, str]) -> Flask:
    migrate(environment)
    return create_app(environment)


def migrate(environment: Mapping[str, str]) -> None:
    """Upgrade a database to the newest revision, and close the connections to it."""
    current = celery.current_app._get_current_object()
    app = create_app(environment)
    with app.app_context():
        flask_migrate.upgrade(directory=str(Path(__file__).parent.parent / "migrations"))
        db.engine.dispose()
    current.set_current()  # each new app sets its own Celery


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Send tasks to the app under test. Afterwards delete rows and counts, except those of append-only tables."""
    if "app" not in request.fixturenames:
        yield
        return
    app: Flask = request.getfixturevalue("app")
    app.extensions["celery"].set_current()  # an earlier test may have created another app
    yield
    with app.app_context(), db.engine.begin() as connection:
        for table in reversed(db.metadata.sorted_tables):
            if not table.info.get("append_only"):
                connection.execute(table.delete())
    close_connections_of_other_apps(app)
    if redis := redis_of(app):
        redis.flushdb()
    else:
        limiter_of(app).reset()
        backoff.init_app(app)


def close_connections_of_other_apps(app: Flask) -> None:
    """Close the pools of the apps that tests created on the database of `app`: a server bounds its connections."""
    pools = db._app_engines
    with app.app_context():
        url = db.engine.url
    for other, engines in list(pools.items()):
        for engine in engines.values():
            if other is not app and engine.url == url:
                engine.dispose()


@pytest.fixture(autouse=True)
def _problem_types() -> Iterator[None]:
    """Fail a test that provokes an error whose type is not declared for its route."""
    problem_types.take_undeclared()
    yield
    assert problem_types.take_undeclared() == []


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with app.app_context():
        engine = db.engine
    # Not the app's session: in an open app context, all requests of a test client would share one `g`.
    with Session(engine) as session:
        yield session


@pytest.fixture
def user(session: Session) -> User:
    return make_user(session)


@pytest.fixture
def other_user(session: Session) -> User:
    return make_user(session)


@pytest.fixture
def headers(app: Flask, user: User) -> dict[str, str]:
    """The headers of a user's request."""
    return bearer(app, user)


@pytest.fixture
def replace_component(app: Flask) -> Iterator[ReplaceComponent]:
    """Return a function that replaces a component of the app until the end of the test."""
    platform = platform_of(app)
    with ExitStack() as originals:

        def replace(component: object) -> None:
            originals.callback(platform.add, platform.get_or_create(type(component)))
            platform.add(component)

        yield replace


@pytest.fixture
def audit_entries(app: Flask) -> Callable[[], Sequence[AuditLog]]:
    """Return the audit log entries since the start of the test, oldest first."""
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
    """A unique value to search for in outputs."""
    return f"unique-{secrets.token_hex(16)}"


@pytest.fixture
def storage(tmp_path: Path, replace_component: ReplaceComponent) -> Storage:
    """The app's storage, an empty folder."""
    storage = folder_storage(tmp_path / "storage")
    replace_component(storage)
    return storage


@pytest.fixture
def scoped_key(app: Flask) -> Iterator[ScopedKey]:
    """Returns the headers of an API key of a user with one scope; works without the feature that stores keys."""
    platform = platform_of(app)
    original = platform.find(ApiKeys)
    callers: dict[str, Caller] = {}

    def look_up(key: str) -> Caller:
        db.session.get(User, callers[key].user_id)  # like a real lookup, it uses the session
        return callers[key]

    def create(user: User, scope: str) -> dict[str, str]:
        key = f"{KEY_PREFIX}{len(callers)}"
        callers[key] = Caller(user.id, user.role, None, frozenset({scope}))
        return {"X-API-Key": key}

    platform.add(ApiKeys(look_up))
    yield create
    if original:
        platform.add(original)
