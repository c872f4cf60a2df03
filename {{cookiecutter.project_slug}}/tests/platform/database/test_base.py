"""Column types, naming convention, engine options and connections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import exc
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.features import FEATURE_SETTINGS
from app.platform.database import engine as engine_module
from app.platform.database.base import autocommit_connection, db, rows_changed, utc_now
from app.platform.database.engine import engine_options
from app.platform.operations.startup import connection_budget_problem
from app.platform.settings.checks import load_settings
from app.platform.settings.declarations import Settings, settings_of
from tests.accounts.factory import PASSWORD, make_user
from tests.environments import basic_environment
from tests.platform.settings.test_checks import PRODUCTION


@pytest.mark.req("D1")
def test_times_return_in_utc_with_microseconds(session: Session) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))

    user = make_user(session, last_login_at=time)
    session.expire_all()

    assert user.last_login_at == time
    assert user.last_login_at.tzinfo == UTC


@pytest.mark.req("D1")
def test_times_without_zone_are_rejected(session: Session) -> None:
    with pytest.raises(exc.StatementError, match="has no time zone"):
        make_user(session, last_login_at=datetime(2026, 1, 2))  # noqa: DTZ001 - the naive time is the test


def test_rows_changed_returns_the_number_of_rows(session: Session) -> None:
    users = [make_user(session) for _ in range(3)]
    update = sa.update(User).where(User.id.in_([user.id for user in users[:2]])).values(role="admin")

    assert rows_changed(session, update) == 2
    assert rows_changed(session, update.where(User.id == 0)) == 0


@pytest.mark.req("D1")
def test_constraints_and_indexes_follow_the_naming_convention() -> None:
    for table in db.metadata.sorted_tables:
        names = [str(constraint.name) for constraint in table.constraints] + [
            str(index.name) for index in table.indexes
        ]
        assert {name.split("_")[0] for name in names} <= {"pk", "fk", "uq", "ck", "ix"}


@pytest.mark.req("S12")
def test_database_errors_contain_no_parameters(session: Session, user: User, secret: str) -> None:
    with pytest.raises(exc.DBAPIError) as raised:
        session.execute(sa.text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": secret})

    assert secret not in str(raised.value)


def settings(**changes: str) -> Settings:
    return load_settings({**PRODUCTION, **changes}, FEATURE_SETTINGS).settings


@pytest.mark.req("S5")
def test_pool_has_the_configured_limits() -> None:
    limits = {"DB_POOL_SIZE": "3", "DB_MAX_OVERFLOW": "1", "DB_POOL_TIMEOUT": "0.5", "DB_POOL_RECYCLE": "60"}

    options = engine_options(settings(**limits))

    pool_options = {name: options[name] for name in options if name.startswith("pool_") or name == "max_overflow"}
    assert pool_options == {
        "pool_size": 3,
        "max_overflow": 1,
        "pool_timeout": 0.5,
        "pool_recycle": 60,
        "pool_pre_ping": True,
    }


@pytest.mark.req("S5")
def test_postgresql_connections_have_timeout_zone_and_name(migrated_database: str) -> None:
    app = create_app(
        basic_environment(DATABASE_URL=migrated_database, DB_STATEMENT_TIMEOUT_MS="1500", DB_SSLMODE="prefer")
    )

    with app.app_context(), db.engine.connect() as connection:
        names = ("statement_timeout", "idle_in_transaction_session_timeout", "timezone", "application_name")
        values = [connection.execute(sa.text(f"SHOW {name}")).scalar_one() for name in names]
        with pytest.raises(exc.OperationalError, match="statement timeout"):
            connection.execute(sa.text("SELECT pg_sleep(5)"))
    with app.app_context():
        db.engine.dispose()

    assert values == ["1500ms", "9s", "UTC", "service-under-test"]


@pytest.mark.req("W2")
def test_transaction_of_frozen_process_loses_its_locks(migrated_database: str) -> None:
    frozen = create_app(basic_environment(DATABASE_URL=migrated_database, DB_STATEMENT_TIMEOUT_MS="100"))
    waiting = create_app(basic_environment(DATABASE_URL=migrated_database))
    row = sa.text("SELECT pg_advisory_xact_lock(1)")

    with frozen.app_context(), db.engine.connect() as connection:
        connection.execute(row)
        with waiting.app_context(), db.engine.begin() as other:
            other.execute(row)  # waits until the server ends the other transaction
        with pytest.raises(exc.DBAPIError, match="idle-in-transaction timeout"):
            connection.execute(row)


@pytest.fixture
def single_connection_app(migrated_database: str) -> Iterator[Flask]:
    """An app with one connection to PostgreSQL, in its app context."""
    app = create_app(basic_environment(DATABASE_URL=migrated_database, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def backend_pid(connection: sa.Connection) -> int:
    """The process of the server that serves a connection."""
    pid: int = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    return pid


@pytest.mark.usefixtures("single_connection_app")
@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["ping", "poll"])
@pytest.mark.req("S5")
def test_closed_connections_are_replaced_before_use(
    migrated_database: str, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(engine_module, "ASSUME_ALIVE_SECONDS", seconds)
    with db.engine.connect() as connection:
        first = backend_pid(connection)
    with psycopg.connect(migrated_database) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [first])

    with db.engine.connect() as connection:
        assert backend_pid(connection) != first


@pytest.mark.usefixtures("single_connection_app")
@pytest.mark.req("S5")
def test_only_idle_connections_are_pinged(monkeypatch: pytest.MonkeyPatch) -> None:
    with db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        backend_pid(connection)
    assert driver is not None
    assert driver.is_assumed_alive()

    monkeypatch.setattr(engine_module, "ASSUME_ALIVE_SECONDS", 0.0)

    assert not driver.is_assumed_alive()


@pytest.mark.usefixtures("single_connection_app")
def test_autocommit_connection_leaves_no_transaction_open() -> None:
    with autocommit_connection() as connection:
        driver = connection.connection.driver_connection
        backend_pid(connection)
        assert driver is not None
        assert driver.info.transaction_status == psycopg.pq.TransactionStatus.IDLE

    db.session.execute(sa.text("SELECT 1"))
    assert driver.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


@pytest.mark.usefixtures("single_connection_app")
def test_engine_calls_no_listeners_for_each_statement() -> None:
    with autocommit_connection() as connection:
        assert not connection.engine._has_events


@pytest.mark.req("S5")
def test_request_uses_one_connection_at_a_time(migrated_database: str) -> None:
    app = create_app(basic_environment(DATABASE_URL=migrated_database, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0"))
    client, login = app.test_client(), {"email": "ann@example.org", "password": PASSWORD}
    client.post("/api/v1/auth/register", json=login)
    tokens = client.post("/api/v1/auth/login", json=login).get_json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    changed = client.patch("/api/v1/users/me", json={"display_name": "Ann"}, headers=headers)

    assert changed.status_code == 200
    assert client.get("/api/v1/users/me", headers=headers).get_json()["display_name"] == "Ann"
    with app.app_context():
        db.engine.dispose()


@pytest.mark.req("S5")
def test_sslmode_is_passed_to_the_driver() -> None:
    options = engine_options(settings(DB_SSLMODE="verify-full"))

    assert options["connect_args"]["sslmode"] == "verify-full"


@pytest.fixture
def small_pool_app(migrated_database: str) -> Flask:
    """An app with at most two connections."""
    return create_app(
        basic_environment(DATABASE_URL=migrated_database, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="1", DB_POOL_TIMEOUT="0.2")
    )


@pytest.mark.req("S5")
def test_exhausted_pool_returns_503_after_the_pool_timeout(small_pool_app: Flask) -> None:
    body = {"email": "ann@example.org", "password": "wrong password"}
    with small_pool_app.app_context():
        engine = db.engine

    with engine.connect(), engine.connect():
        started = utc_now()
        rejected = small_pool_app.test_client().post("/api/v1/auth/login", json=body)
        seconds = (utc_now() - started).total_seconds()
    served = small_pool_app.test_client().post("/api/v1/auth/login", json=body)
    engine.dispose()

    assert rejected.status_code == 503
    assert rejected.headers["Retry-After"] == "5"
    assert seconds < 4  # DB_POOL_TIMEOUT is 5 s if it is not set
    assert served.status_code == 401


@pytest.mark.req("S5")
def test_startup_rejects_more_connections_than_the_server_allows(migrated_database: str) -> None:
    app = create_app(basic_environment(DATABASE_URL=migrated_database, WEB_REPLICAS="10", GUNICORN_WORKERS="4"))

    with app.app_context():
        problem = connection_budget_problem(settings_of(app))
        db.engine.dispose()

    assert problem
    assert "are 280, but the database server allows 197" in problem


@pytest.mark.fault("F67")
def test_isolation_level_does_not_depend_on_the_server(migrated_database: str) -> None:
    _set_isolation(migrated_database, "repeatable read")
    app = create_app(basic_environment(DATABASE_URL=migrated_database))

    with app.app_context():
        level = db.session.scalar(sa.text("SHOW transaction_isolation"))
        db.session.remove()
        db.engine.dispose()

    assert level == "read committed"


@pytest.mark.fault("F67")
def test_start_warns_of_what_a_pooler_does_not_set(migrated_database: str) -> None:
    _set_isolation(migrated_database, "serializable")
    pooled = {"DB_TRANSACTION_POOLING": "true", "MIGRATION_DATABASE_URL": f"{migrated_database}?keepalives=1"}
    app = create_app(basic_environment(DATABASE_URL=migrated_database, **pooled))

    result = app.test_cli_runner().invoke(args=["prepare"])
    with app.app_context():
        db.engine.dispose()

    assert result.exit_code == 0
    assert "warning: statements have no timeout. Set it for the account" in result.output
    assert "warning: the isolation level is serializable" in result.output


def _set_isolation(url: str, level: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(
            sa.text(f"ALTER DATABASE {engine.url.database} SET default_transaction_isolation = '{level}'")
        )
