"""The probes report dependencies that are stopped, frozen and restarted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from tests.environments import OPERATOR
from tests.running.conftest import StartWeb, Web, run_web
from tests.servers import PostgresServer, RedisServer, start_postgres, start_redis, wait_until

pytestmark = pytest.mark.running

Server = PostgresServer | RedisServer


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may stop or freeze, and then restores."""
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    """A Redis that a test may stop or freeze, and then restores."""
    with start_redis() as server:
        yield server


@pytest.fixture(scope="module")
def web(own_postgres: PostgresServer, own_redis: RedisServer) -> Iterator[Web]:
    """Web processes that the tests of probes share; the probes need no tables."""
    with run_web(own_postgres.create_database("probes"), own_redis.url) as web:
        yield web


@pytest.fixture
def servers(own_postgres: PostgresServer, own_redis: RedisServer) -> dict[str, Server]:
    """The servers of `web`, by the name of their check."""
    return {"database": own_postgres, "redis": own_redis}


def timed(web: Web, path: str) -> tuple[int, dict[str, Any], float]:
    started = time.monotonic()
    response = web.get(path)
    return response.status_code, response.json(), time.monotonic() - started


FAULTS: list[tuple[Callable[[Server], None], Callable[[Server], object]]] = [
    (lambda server: server.kill(), lambda server: server.restart()),
    (lambda server: server.stop(), lambda server: server.restart()),
    (lambda server: server.pause(), lambda server: server.resume()),
]


@pytest.mark.parametrize("name", ["database", "redis"])
@pytest.mark.parametrize(("stop", "restore"), FAULTS, ids=["killed", "stopped", "frozen"])
@pytest.mark.req("S8")
def test_ready_follows_its_dependencies_and_health_does_not(
    web: Web,
    servers: dict[str, Server],
    name: str,
    stop: Callable[[Server], None],
    restore: Callable[[Server], object],
) -> None:
    assert timed(web, "/ready")[:2] == (200, {"status": "ready", "checks": {"database": "ok", "redis": "ok"}})

    stop(servers[name])
    try:
        probes = [(timed(web, "/ready"), timed(web, "/health")) for _ in range(5)]
    finally:
        restore(servers[name])

    for (status, body, seconds), health in probes:
        assert (status, body["status"]) == (503, "not_ready")
        assert {check for check, result in body["checks"].items() if result != "ok"} == {name}
        assert seconds < 20
        assert health[:2] == (200, {"status": "ok"})
        assert health[2] < 10
    assert wait_until(lambda: timed(web, "/ready")[0] == 200, 120)


@pytest.mark.req("S8")
def test_detailed_health_responds_while_dependencies_are_frozen(web: Web, servers: dict[str, Server]) -> None:
    for server in servers.values():
        server.pause()

    started = time.monotonic()
    try:
        response = web.get("/health/detailed", headers=OPERATOR)
        seconds = time.monotonic() - started
    finally:
        for server in servers.values():
            server.resume()

    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "timeout", "redis": response.json()["checks"]["redis"]}
    assert seconds < 20
    assert wait_until(lambda: timed(web, "/ready")[0] == 200, 120)


@pytest.mark.req("S5", "S8")
def test_request_on_a_frozen_database_returns_503(
    start_web: StartWeb, own_postgres: PostgresServer, own_redis: RedisServer
) -> None:
    url = own_postgres.create_database("frozen")
    web = start_web(redis_url=own_redis.url, DATABASE_URL=url, DB_STATEMENT_TIMEOUT_MS="500", GUNICORN_WORKERS="1")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE users (id int, email text)"))
    engine.dispose()
    body = {"email": "ann@example.org", "password": "wrong password"}
    web.post("/api/v1/auth/login", body)  # the pool has a connection now

    own_postgres.pause()
    started = time.monotonic()
    response = web.post("/api/v1/auth/login", body)
    seconds = time.monotonic() - started
    own_postgres.resume()

    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert seconds < 55  # a quiet machine needs 7.5 s: a ping of the pooled connection (2.5 s), then a new one (5 s)


@pytest.mark.req("S5", "S8")
def test_health_responds_while_requests_wait_for_frozen_database(
    start_web: StartWeb, own_postgres: PostgresServer, own_redis: RedisServer
) -> None:
    url = own_postgres.create_database("frozen_without_tables")
    web = start_web(
        redis_url=own_redis.url,
        DATABASE_URL=url,
        DB_STATEMENT_TIMEOUT_MS="500",
        GUNICORN_WORKERS="1",
        GUNICORN_THREADS="2",
        RATELIMIT_ENABLED="false",
    )
    body = {"email": "ann@example.org", "password": "wrong password"}
    web.post("/api/v1/auth/login", body)
    own_postgres.pause()

    with ThreadPoolExecutor(6) as pool:
        pending = [pool.submit(lambda: web.post("/api/v1/auth/login", body).status_code) for _ in range(60)]
        assert wait_until(lambda: any(future.done() for future in pending), 120)  # the first request has timed out
        seconds: list[float] = []
        while not all(future.done() for future in pending) and len(seconds) < 10:
            seconds.append(timed(web, "/health")[2])
        assert wait_until(lambda: all(future.done() for future in pending), 300)
        own_postgres.resume()
        statuses = {future.result() for future in pending}

    assert statuses == {503}
    assert max(seconds, default=0) < 50  # at most one of two threads waits for a connection
    # The database responds again: the table is missing.
    assert wait_until(lambda: web.post("/api/v1/auth/login", body).status_code == 500, 120)
