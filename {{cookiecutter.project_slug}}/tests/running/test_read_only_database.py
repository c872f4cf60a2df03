"""A database that is read-only for a while, such as during a failover."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg import sql

from tests.accounts.factory import PASSWORD
from tests.running.conftest import StartWeb, Web
from tests.servers import wait_until

pytestmark = pytest.mark.running

CALLS = 24  # more than the pools of all processes have connections


def register(web: Web) -> tuple[int, str | None]:
    body = {"email": f"{uuid.uuid4().hex}@example.org", "password": PASSWORD}
    response = web.post("/api/v1/auth/register", body)
    return response.status_code, response.headers.get("Retry-After")


def alter_database(url: str, change: str) -> None:
    with psycopg.connect(url, options="-c default_transaction_read_only=off", autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} {}").format(name, sql.SQL(change)))


@pytest.mark.fault("F16")
@pytest.mark.req("S5")
def test_writes_recover_after_database_was_read_only(start_web: StartWeb, migrated_database: str) -> None:
    web = start_web(RATELIMIT_ENABLED="false", DB_POOL_RECYCLE="1800")
    alter_database(migrated_database, "SET default_transaction_read_only = on")

    read_only = {register(web) for _ in range(CALLS)}
    alter_database(migrated_database, "RESET default_transaction_read_only")

    assert read_only == {(503, "5")}
    assert wait_until(lambda: {register(web)[0] for _ in range(CALLS)} == {201}, 60)
