"""Each class of database errors has one status, and decides whether the connection is used again."""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy import exc

from app import create_app
from app.accounts.models import User
from app.platform.api.rate_limits import no_rate_limit
from app.platform.database.base import db
from app.platform.database.errors import BUG, BUSY, POSTGRESQL, ROW_DELETED, UNAVAILABLE, ErrorClass, classify
from app.platform.security.access import public
from tests.accounts.factory import make_user
from tests.environments import basic_environment

pytestmark = [pytest.mark.fault("F16"), pytest.mark.req("S5", "S11")]

# One error of each class of PostgreSQL.
STATES = {
    "08006": UNAVAILABLE,  # connection_failure
    "08P01": UNAVAILABLE,  # protocol_violation
    "0A000": BUG,  # feature_not_supported
    "22003": BUG,  # numeric_value_out_of_range
    "22008": BUG,  # datetime_field_overflow
    "22021": BUG,  # character_not_in_repertoire
    "23502": BUG,  # not_null_violation
    "23503": ROW_DELETED,  # foreign_key_violation
    "23505": BUG,  # unique_violation
    "23514": BUG,  # check_violation
    "25006": UNAVAILABLE,  # read_only_sql_transaction
    "25P02": BUG,  # in_failed_sql_transaction
    "25P03": UNAVAILABLE,  # idle_in_transaction_session_timeout
    "25P04": UNAVAILABLE,  # transaction_timeout
    "26000": BUG,  # invalid_sql_statement_name
    "28P01": UNAVAILABLE,  # invalid_password
    "3D000": UNAVAILABLE,  # invalid_catalog_name
    "40001": BUSY,  # serialization_failure
    "40P01": BUSY,  # deadlock_detected
    "42501": BUG,  # insufficient_privilege
    "42601": BUG,  # syntax_error
    "42703": BUG,  # undefined_column
    "42P01": BUG,  # undefined_table
    "53100": BUSY,  # disk_full
    "53200": BUSY,  # out_of_memory
    "53300": BUSY,  # too_many_connections
    "54001": BUG,  # statement_too_complex
    "55P03": BUSY,  # lock_not_available
    "57014": BUSY,  # query_canceled
    "57P01": UNAVAILABLE,  # admin_shutdown
    "57P02": UNAVAILABLE,  # crash_shutdown
    "57P03": UNAVAILABLE,  # cannot_connect_now
    "57P05": UNAVAILABLE,  # idle_session_timeout
    "58030": BUSY,  # io_error
    "P0001": BUG,  # raise_exception
    "XX000": BUG,  # internal_error
    "XX001": BUG,  # data_corrupted
}


@pytest.fixture
def failing_app(migrated_database: str) -> Iterator[Flask]:
    """An app with one database connection, and a route whose statement fails with an SQLSTATE."""
    app = create_app(basic_environment(DATABASE_URL=migrated_database, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0"))

    @app.get("/fail/<state>")
    @public("a test")
    @no_rate_limit("a test")
    def fail(state: str) -> ResponseReturnValue:
        db.session.execute(sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{state}'; END $$"))
        return "no error"

    yield app
    with app.app_context():
        db.engine.dispose()


def backend_pid(app: Flask) -> int:
    """The process of the server that serves the only connection of the pool."""
    with app.app_context(), db.engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())


def test_every_listed_state_has_a_test() -> None:
    assert [prefix for prefix in POSTGRESQL if not any(state.startswith(prefix) for state in STATES)] == []


def test_sqlstate_decides_response_and_connection(failing_app: Flask) -> None:
    client = failing_app.test_client()
    seen = {}
    for state in STATES:
        before = backend_pid(failing_app)
        response = client.get(f"/fail/{state}")
        kept = backend_pid(failing_app) == before
        seen[state] = (response.status_code, response.headers.get("Retry-After"), kept)

    assert seen == {
        state: (expected.status, "5" if expected.status == 503 else None, expected.connection_usable)
        for state, expected in STATES.items()
    }


def test_idle_transaction_that_the_server_ended_is_unavailable(migrated_database: str) -> None:
    app = create_app(basic_environment(DATABASE_URL=migrated_database, DB_STATEMENT_TIMEOUT_MS="100"))
    with app.app_context():
        ended = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        with db.engine.connect() as connection:
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            other = sa.create_engine(migrated_database, poolclass=sa.NullPool)
            while True:
                with other.connect() as observer:
                    if not observer.execute(ended, {"pid": pid}).scalar_one():
                        break
                time.sleep(0.05)
            with pytest.raises(exc.DBAPIError) as raised:
                connection.execute(sa.text("SELECT 1"))
        with db.engine.connect() as connection:
            new_pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        db.engine.dispose()

    assert classify(raised.value) is UNAVAILABLE
    assert new_pid != pid


NUMBERS = {
    1020: BUSY,  # record has changed since it was read
    1021: BUSY,  # disk full
    1037: BUSY,
    1038: BUSY,
    1041: BUSY,  # out of memory
    1114: BUSY,  # table full
    1205: BUSY,  # lock wait timeout
    1213: BUSY,  # deadlock
    1317: BUSY,  # interrupted
    1412: BUSY,  # table definition has changed
    1969: BUSY,  # statement timeout of MariaDB
    3024: BUSY,  # statement timeout of MySQL
    3572: BUSY,  # NOWAIT
    1040: UNAVAILABLE,  # too many connections
    1044: UNAVAILABLE,
    1045: UNAVAILABLE,  # access denied
    1049: UNAVAILABLE,  # unknown database
    1053: UNAVAILABLE,  # shutdown
    1203: UNAVAILABLE,
    1226: UNAVAILABLE,
    1290: UNAVAILABLE,  # --read-only
    1792: UNAVAILABLE,  # read-only transaction
    1836: UNAVAILABLE,  # read-only mode
    1927: UNAVAILABLE,  # connection killed
    2003: UNAVAILABLE,
    2006: UNAVAILABLE,
    2013: UNAVAILABLE,  # connection lost
    4031: UNAVAILABLE,  # disconnected because of inactivity
    1216: ROW_DELETED,
    1452: ROW_DELETED,
    1048: BUG,  # NULL
    1054: BUG,  # unknown column
    1062: BUG,  # duplicate entry
    1064: BUG,  # syntax
    1142: BUG,  # command denied
    1146: BUG,  # no such table
    1366: BUG,  # incorrect string value
    1406: BUG,  # data too long
}


@pytest.mark.parametrize(("number", "expected"), NUMBERS.items())
def test_error_number_of_mariadb_decides(number: int, expected: ErrorClass) -> None:
    packet = b"\xff" + struct.pack("<h", number) + b"#HY000on purpose"
    with pytest.raises(pymysql.MySQLError) as raised:
        pymysql.err.raise_mysql_exception(packet)

    assert classify(exc.DBAPIError.instance("", {}, raised.value, pymysql.MySQLError)) is expected


def test_lost_connection_to_mariadb_is_unavailable() -> None:
    error = pymysql.err.InterfaceError(0, "")

    assert classify(exc.DBAPIError.instance("", {}, error, pymysql.MySQLError)) is UNAVAILABLE


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    file = tmp_path / "app.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id REFERENCES parents (id))")
    return file


def missing_table(file: Path) -> None:
    with sa.create_engine(f"sqlite:///{file}").connect() as connection:
        connection.execute(sa.text("SELECT * FROM nothing"))


def locked_file(file: Path) -> None:
    lock = sqlite3.connect(file)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        with sa.create_engine(f"sqlite:///{file}", connect_args={"timeout": 0}).begin() as connection:
            connection.execute(sa.text("INSERT INTO parents VALUES (1)"))
    finally:
        lock.close()


def read_only_file(file: Path) -> None:
    with sa.create_engine(f"sqlite:///file:{file}?mode=ro&uri=true").begin() as connection:
        connection.execute(sa.text("INSERT INTO parents VALUES (1)"))


def full_disk(file: Path) -> None:
    with sa.create_engine(f"sqlite:///{file}").begin() as connection:
        connection.execute(sa.text("PRAGMA max_page_count = 1"))
        numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)"
        connection.execute(sa.text(f"INSERT INTO parents {numbers} SELECT n FROM numbers"))


def deleted_parent(file: Path) -> None:
    with sa.create_engine(f"sqlite:///{file}").begin() as connection:
        connection.execute(sa.text("PRAGMA foreign_keys = ON"))
        connection.execute(sa.text("INSERT INTO children VALUES (1, 1)"))


def missing_folder(file: Path) -> None:
    with sa.create_engine(f"sqlite:///{file}/nothing/app.db").connect():
        pass


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (missing_table, BUG),
        (locked_file, BUSY),
        (full_disk, BUSY),
        (read_only_file, UNAVAILABLE),
        (deleted_parent, ROW_DELETED),
        (missing_folder, UNAVAILABLE),
    ],
)
def test_error_name_of_sqlite_decides(sqlite_file: Path, fail: Callable[[Path], None], expected: ErrorClass) -> None:
    with pytest.raises(exc.DBAPIError) as raised:
        fail(sqlite_file)

    assert classify(raised.value) is expected


@pytest.mark.fault("F28")
def test_missing_table_of_sqlite_is_a_500(tmp_path: Path) -> None:
    app = create_app(basic_environment(DATABASE_URL=f"sqlite:///{tmp_path}/empty.db"))

    response = app.test_client().post("/api/v1/auth/login", json={"email": "a@example.org", "password": "x"})

    assert response.status_code == 500


def test_update_of_deleted_row_is_a_conflict(app: Flask) -> None:
    with app.app_context():
        user = make_user(db.session())
        with db.engine.begin() as other:
            other.execute(sa.delete(User).where(User.id == user.id))
        user.role = "admin"
        with pytest.raises(exc.SQLAlchemyError) as raised:
            db.session.flush()
        db.session.rollback()

    assert classify(raised.value) is ROW_DELETED
