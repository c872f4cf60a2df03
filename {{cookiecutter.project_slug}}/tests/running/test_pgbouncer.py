"""The service behind PgBouncer in transaction mode: requests use the pooler, and migrations go around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests

from tests.environments import production_environment
from tests.migrations.flask_command import flask
from tests.running.accounts import log_in
from tests.running.conftest import StartWeb, Web
from tests.servers import RedisServer, ServerError
from tests.servers.pgbouncer import PgBouncerServer, find_pgbouncer, start_pgbouncer

pytestmark = pytest.mark.running

LIMITS_OFF = {"RATELIMIT_ENABLED": "false"}


@pytest.fixture
def pgbouncer(empty_database: str) -> Iterator[PgBouncerServer]:
    """A pooler in front of an empty database. No wheel contains PgBouncer."""
    try:
        find_pgbouncer()
    except ServerError as error:
        pytest.skip(str(error))
    with start_pgbouncer(empty_database) as server:
        yield server


@pytest.fixture
def settings(pgbouncer: PgBouncerServer, empty_database: str, redis: RedisServer) -> dict[str, str]:
    """The settings of a service behind the pooler, with migrated tables."""
    pooling = {"DB_TRANSACTION_POOLING": "true", "MIGRATION_DATABASE_URL": empty_database, **LIMITS_OFF}
    prepared = flask("prepare", environment=production_environment(pgbouncer.url, redis.url, **pooling))
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    return {"DATABASE_URL": pgbouncer.url, **pooling}


def statuses(web: Web) -> Counter[int]:
    """Return the statuses of many reads and writes at the same time."""
    headers = log_in(web)

    def call(number: int) -> list[int]:
        name = {"display_name": f"Ann {number}"}
        return [
            web.get("/api/v1/users/me", headers=headers).status_code,
            requests.patch(f"{web.url}/api/v1/users/me", json=name, headers=headers, timeout=60).status_code,
        ]

    with ThreadPoolExecutor(8) as pool:
        return Counter(status for result in pool.map(call, range(80)) for status in result)


@pytest.mark.fault("F17")
@pytest.mark.req("S14")
def test_requests_succeed_behind_pgbouncer(start_web: StartWeb, settings: dict[str, str]) -> None:
    web = start_web(**settings)

    assert statuses(web) == {200: 160}
    assert web.get("/ready").status_code == 200


@pytest.mark.fault("F17")
def test_migration_lock_does_not_go_through_pgbouncer(
    settings: dict[str, str], redis: RedisServer, empty_database: str
) -> None:
    environment = production_environment(
        settings.pop("DATABASE_URL"), redis.url, MIGRATION_LOCK_WAIT_SECONDS="1", **settings
    )

    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(7236514028)")
        waiting = flask("db", "upgrade", environment=environment)
    afterwards = flask("db", "upgrade", environment=environment)

    assert "Another migration has been running" in waiting.stdout + waiting.stderr
    assert afterwards.returncode == 0, afterwards.stdout + afterwards.stderr
