"""Probes tell the truth while what they ask is stopped, frozen, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from tests.environments import OPERATOR
from tests.running.conftest import StartWeb, Web
from tests.servers import PostgresServer, RedisServer, start_postgres, wait_until

pytestmark = pytest.mark.running

Server = PostgresServer | RedisServer


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL to stop and to freeze; the probes need no tables."""
    with start_postgres() as server:
        yield server


@pytest.fixture
def both(start_web: StartWeb, own_postgres: PostgresServer, own_redis: RedisServer) -> tuple[Web, dict[str, Server]]:
    url = own_postgres.create_database("app")
    web = start_web(redis_url=own_redis.url, DATABASE_URL=url)
    return web, {"database": own_postgres, "redis": own_redis}


def timed(web: Web, path: str) -> tuple[int, dict[str, object], float]:
    started = time.monotonic()
    answer = web.get(path)
    return answer.status_code, answer.json(), time.monotonic() - started


FAULTS: list[tuple[Callable[[Server], None], Callable[[Server], object]]] = [
    (lambda server: server.kill(), lambda server: server.restart()),
    (lambda server: server.stop(), lambda server: server.restart()),
    (lambda server: server.pause(), lambda server: server.resume()),
]


@pytest.mark.parametrize("name", ["database", "redis"])
@pytest.mark.parametrize(("break_it", "mend_it"), FAULTS, ids=["killed", "stopped", "frozen"])
@pytest.mark.req("S8")
def test_ready_follows_what_it_asks_and_health_never_wavers(
    both: tuple[Web, dict[str, Server]],
    name: str,
    break_it: Callable[[Server], None],
    mend_it: Callable[[Server], object],
) -> None:
    web, servers = both
    assert timed(web, "/ready")[:2] == (200, {"status": "ready", "checks": {"database": "ok", "redis": "ok"}})

    break_it(servers[name])
    for _ in range(5):
        status, body, took = timed(web, "/ready")
        assert status == 503
        assert body["status"] == "not_ready"
        assert {check for check, verdict in body["checks"].items() if verdict != "ok"} == {name}  # type: ignore[attr-defined]
        assert took < 2
        status, body, took = timed(web, "/health")
        assert (status, body) == (200, {"status": "ok"})
        assert took < 1
    mend_it(servers[name])

    assert wait_until(lambda: timed(web, "/ready")[0] == 200, 10)


@pytest.mark.req("S8")
def test_detailed_health_answers_in_time_while_everything_is_frozen(both: tuple[Web, dict[str, Server]]) -> None:
    web, servers = both
    for server in servers.values():
        server.pause()

    started = time.monotonic()
    answer = web.get("/health/detailed", headers=OPERATOR)
    took = time.monotonic() - started
    for server in servers.values():
        server.resume()

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "timeout", "redis": answer.json()["checks"]["redis"]}
    assert took < 2


@pytest.mark.req("S5", "S8")
def test_a_request_on_a_frozen_database_is_answered_503_in_bounded_time(
    start_web: StartWeb, own_postgres: PostgresServer, own_redis: RedisServer
) -> None:
    url = own_postgres.create_database("app")
    web = start_web(redis_url=own_redis.url, DATABASE_URL=url, DB_STATEMENT_TIMEOUT_MS="500", GUNICORN_WORKERS="1")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE users (id int, email text)"))
    engine.dispose()
    body = {"email": "ann@example.org", "password": "wrong password"}
    web.post("/api/v1/auth/login", body)  # so that there is a connection in the pool

    own_postgres.pause()
    started = time.monotonic()
    answer = web.post("/api/v1/auth/login", body)
    took = time.monotonic() - started
    own_postgres.resume()

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert took < 12  # a ping of the pooled connection (2.5 s), then a new one (5 s)


@pytest.mark.req("S5", "S8")
def test_health_answers_also_when_more_requests_than_threads_meet_a_frozen_database(
    start_web: StartWeb, own_postgres: PostgresServer, own_redis: RedisServer
) -> None:
    url = own_postgres.create_database("app")
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
        asking = [pool.submit(lambda: web.post("/api/v1/auth/login", body).status_code) for _ in range(60)]
        time.sleep(8)  # the first have waited for an answer, and for a connection
        took: list[float] = []
        while not all(future.done() for future in asking) and len(took) < 10:
            took.append(timed(web, "/health")[2])
        own_postgres.resume()
        statuses = {future.result() for future in asking}

    assert statuses == {503}
    assert max(took, default=0) < 6  # one thread may be trying a connection, and never both
    # Asked again: what it says is that there is no such table.
    assert wait_until(lambda: web.post("/api/v1/auth/login", body).status_code == 500, 10)
