"""Times, names, engine options."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import exc
from sqlalchemy.orm import Session

from app import boot, connections, create_app
from app.accounts.models import User
from app.configuration import load
from app.connections import engine_options
from app.database import db, now, one_statement
from app.locations.models import UserLocation
from app.settings import settings_of
from tests.accounts.factory import PASSWORD
from tests.environments import basic_environment
from tests.locations.factory import make_location
from tests.test_configuration import GOOD


@pytest.mark.req("D1")
def test_a_time_comes_back_in_utc_to_the_microsecond(session: Session, user: User) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))

    location = make_location(session, user, at=time)
    session.expire_all()

    assert location.recorded_at == time
    assert location.recorded_at.tzinfo == UTC


@pytest.mark.req("D1")
def test_a_time_without_a_zone_is_refused(session: Session, user: User) -> None:
    with pytest.raises(exc.StatementError, match="has no time zone"):
        make_location(session, user, at=datetime(2026, 1, 2))  # noqa: DTZ001 - that it is refused is what is shown


@pytest.mark.parametrize("position", [{"latitude": 90.1}, {"longitude": -180.1}])
@pytest.mark.req("D1")
def test_the_database_itself_refuses_a_position_that_is_none(
    session: Session, user: User, position: dict[str, float]
) -> None:
    with pytest.raises((exc.IntegrityError, exc.OperationalError)):
        make_location(session, user, **position)  # type: ignore[arg-type] # of the parameters, the positions


@pytest.mark.req("D1")
def test_positions_go_with_their_user(session: Session, user: User) -> None:
    make_location(session, user)

    session.delete(user)
    session.commit()

    assert session.scalar(sa.select(sa.func.count(UserLocation.id))) == 0


@pytest.mark.req("D1")
def test_every_constraint_and_index_has_a_name_of_ours() -> None:
    for table in db.metadata.sorted_tables:
        names = [str(constraint.name) for constraint in table.constraints] + [
            str(index.name) for index in table.indexes
        ]
        assert {name.split("_")[0] for name in names} <= {"pk", "fk", "uq", "ck", "ix"}


@pytest.mark.req("S12")
def test_an_error_of_the_database_shows_no_parameter(session: Session, user: User, secret: str) -> None:
    with pytest.raises(exc.DBAPIError) as raised:
        session.execute(sa.text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": secret})

    assert secret not in str(raised.value)


@pytest.mark.req("S5")
def test_the_pool_is_as_the_settings_say() -> None:
    options = engine_options(
        load({**GOOD, "DB_POOL_SIZE": "3", "DB_MAX_OVERFLOW": "1", "DB_POOL_TIMEOUT": "0.5", "DB_POOL_RECYCLE": "60"})
    )

    chosen = {name: options[name] for name in options if name.startswith("pool_") or name == "max_overflow"}
    assert chosen == {
        "pool_size": 3,
        "max_overflow": 1,
        "pool_timeout": 0.5,
        "pool_recycle": 60,
        "pool_pre_ping": True,
    }


@pytest.mark.req("S5")
def test_postgresql_knows_the_time_limits(migrated_database: str) -> None:
    app = create_app(
        basic_environment(DATABASE_URL=migrated_database, DB_STATEMENT_TIMEOUT_MS="1500", DB_SSLMODE="prefer")
    )

    with app.app_context(), db.engine.connect() as connection:
        asked = ("statement_timeout", "timezone", "application_name")
        told = [connection.execute(sa.text(f"SHOW {name}")).scalar_one() for name in asked]
        with pytest.raises(exc.OperationalError, match="statement timeout"):
            connection.execute(sa.text("SELECT pg_sleep(5)"))
    with app.app_context():
        db.engine.dispose()

    assert told == ["1500ms", "UTC", "service-under-test"]


@pytest.fixture
def served(migrated_database: str) -> Iterator[Flask]:
    """An app with one connection to PostgreSQL."""
    app = create_app(basic_environment(DATABASE_URL=migrated_database, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def backend(connection: sa.Connection) -> int:
    """Which process of the server answers."""
    found: int = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    return found


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["pinged", "looked at"])
@pytest.mark.req("S5")
def test_a_connection_that_the_server_has_closed_is_replaced_before_it_is_used(
    migrated_database: str, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(connections, "TRUST_SECONDS", seconds)
    with db.engine.connect() as connection:
        first = backend(connection)
    with psycopg.connect(migrated_database) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [first])

    with db.engine.connect() as connection:
        assert backend(connection) != first


@pytest.mark.usefixtures("served")
@pytest.mark.req("S5")
def test_a_connection_is_pinged_after_it_was_idle_and_not_between_two_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    with db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        backend(connection)
    assert driver is not None
    assert driver.is_known_to_live()

    monkeypatch.setattr(connections, "TRUST_SECONDS", 0.0)

    assert not driver.is_known_to_live()


@pytest.mark.usefixtures("served")
def test_a_single_statement_is_a_transaction_of_its_own_and_sessions_go_on_as_before() -> None:
    with one_statement() as connection:
        driver = connection.connection.driver_connection
        backend(connection)
        assert driver is not None
        assert driver.info.transaction_status == psycopg.pq.TransactionStatus.IDLE

    db.session.execute(sa.text("SELECT 1"))
    assert driver.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


@pytest.mark.req("S5")
def test_a_request_holds_one_connection_at_a_time_also_where_the_database_is_asked_for_its_session(
    migrated_database: str,
) -> None:
    app = create_app(basic_environment(DATABASE_URL=migrated_database, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0"))
    client, given = app.test_client(), {"email": "ann@example.org", "password": PASSWORD}
    client.post("/api/v1/auth/register", json=given)
    pair = client.post("/api/v1/auth/login", json=given).get_json()
    headers = {"Authorization": f"Bearer {pair['access_token']}"}

    saved = client.post("/api/v1/locations", json={"latitude": 1, "longitude": 2}, headers=headers)

    assert saved.status_code == 201
    assert client.get("/api/v1/users/me", headers=headers).status_code == 200
    assert len(client.get("/api/v1/locations", headers=headers).get_json()["items"]) == 1
    with app.app_context():
        db.engine.dispose()


@pytest.mark.req("S5")
def test_sslmode_reaches_the_driver() -> None:
    options = engine_options(load({**GOOD, "DB_SSLMODE": "verify-full"}))

    assert options["connect_args"]["sslmode"] == "verify-full"


@pytest.fixture
def small(migrated_database: str) -> Flask:
    """An app with two connections to have."""
    return create_app(
        basic_environment(DATABASE_URL=migrated_database, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="1", DB_POOL_TIMEOUT="0.2")
    )


@pytest.mark.req("S5")
def test_a_pool_that_is_used_up_is_answered_503_and_not_waited_for(small: Flask) -> None:
    body = {"email": "ann@example.org", "password": "wrong password"}
    with small.app_context():
        engine = db.engine

    with engine.connect(), engine.connect():
        started = now()
        refused = small.test_client().post("/api/v1/auth/login", json=body)
        took = (now() - started).total_seconds()
    served = small.test_client().post("/api/v1/auth/login", json=body)
    engine.dispose()

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert took < 2
    assert served.status_code == 401


@pytest.mark.req("S5")
def test_more_connections_than_the_server_has_are_refused_at_the_start(migrated_database: str) -> None:
    app = create_app(basic_environment(DATABASE_URL=migrated_database, WEB_REPLICAS="10", GUNICORN_WORKERS="4"))

    with app.app_context():
        complaint = boot.too_many_connections(settings_of(app))
        db.engine.dispose()

    assert complaint
    assert "are 280, and the database server has 197 to give" in complaint
    assert not complaint.startswith("0")
