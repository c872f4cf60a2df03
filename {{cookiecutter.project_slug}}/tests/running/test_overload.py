"""Under overload, requests beyond a bound are refused at once, and probes and other users are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from tests.running.accounts import ANN, LOGIN, ME, log_in
from tests.running.conftest import GUNICORN, StartWeb
from tests.running.raw_requests import begin_request, open_connection, read_response
from tests.servers import PostgresServer, RedisServer, start_postgres, wait_until

pytestmark = [pytest.mark.running, pytest.mark.req("S13")]

UNKNOWN = {"email": "unknown@example.org", "password": "wrong password"}
ONE_PROCESS = {"GUNICORN_WORKERS": "1", "GUNICORN_THREADS": "2"}
FAULT_APP = [*GUNICORN, "tests.running.fault_app:app"]
HOLD = ("/faults/hold", "SELECT pg_advisory_lock(1)")
JSON, CHUNKED = "Content-Type: application/json", "Transfer-Encoding: chunked"
WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@contextmanager
def locked(database: str, statement: str) -> Iterator[Callable[[], int]]:
    """Hold a lock; yields a function that returns how many statements wait for one."""
    engine = sa.create_engine(database)
    with engine.connect() as holder, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as reader:
        holder.execute(sa.text(statement))
        yield lambda: int(reader.scalar(WAITING) or 0)
    engine.dispose()


def assert_refused(response: requests.Response) -> None:
    assert (response.status_code, response.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json()["status"] == 503


@pytest.mark.parametrize("credentials", [ANN, UNKNOWN], ids=["known", "unknown"])
@pytest.mark.fault("F31")
def test_logins_beyond_the_bound_are_refused_at_once(
    start_web: StartWeb, migrated_database: str, credentials: dict[str, str]
) -> None:
    web = start_web(GUNICORN_WORKERS="1", CONCURRENCY_HASHING="2")
    headers = log_in(web)

    with ThreadPoolExecutor(2) as pool:
        with locked(migrated_database, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE") as waiting:
            held = [pool.submit(web.post, LOGIN, credentials) for _ in range(2)]
            assert wait_until(lambda: waiting() == 2, 120)

            refused = web.post(LOGIN, credentials)
            others = [
                web.get(path, headers=headers).status_code for path in ("/health", "/ready", "/api/v1/openapi.json")
            ]
            assert not any(login.done() for login in held)
        statuses = {login.result().status_code for login in held}

    assert_refused(refused)
    assert others == [200, 200, 200]
    assert statuses == {200 if credentials is ANN else 401}
    assert web.post(LOGIN, credentials).status_code in statuses


@pytest.mark.fault("F31")
def test_half_sent_bodies_occupy_no_thread(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    headers = log_in(web)

    with ExitStack() as clients:
        for size in (200, 1_000_000) * 12:
            clients.enter_context(begin_request(web, LOGIN, JSON, f"Content-Length: {size}", body=b'{"email":'))
        statuses = [web.get(path, headers=headers).status_code for path in ("/health", "/ready", ME)]

    assert statuses == [200, 200, 200]


@pytest.mark.fault("F31")
def test_half_sent_headers_and_idle_connections_occupy_no_thread(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    headers = log_in(web)

    with ExitStack() as clients:
        for number in range(400):
            client = clients.enter_context(open_connection(web))
            client.sendall(b"GET /api/v1/users/me HTTP/1.1\r\nHost: "[: 40 * (number % 2)])
        statuses = [web.get(path, headers=headers).status_code for path in ("/health", "/ready", ME)]

    assert statuses == [200, 200, 200]


@pytest.mark.fault("F31")
def test_request_sent_in_pieces_is_answered(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    body = b'{"email": "unknown@example.org", "password": "wrong password"}'

    with begin_request(web, LOGIN, JSON, "Connection: close", f"Content-Length: {len(body)}") as client:
        for start in range(0, len(body), 7):
            client.sendall(body[start : start + 7])
        response = read_response(client)

    assert response.startswith("HTTP/1.1 401 ")


@pytest.mark.parametrize("sent", ["length", "chunked"])
@pytest.mark.fault("F31")
def test_request_that_does_not_arrive_is_answered_with_408(start_web: StartWeb, sent: str) -> None:
    web = start_web(**ONE_PROCESS, REQUEST_RECEIVE_SECONDS="1")

    field = CHUNKED if sent == "chunked" else "Content-Length: 100"
    with begin_request(web, LOGIN, JSON, field, body=b"5\r\n{") as client:
        response = read_response(client)

    assert response.startswith("HTTP/1.1 408 ")
    assert "application/problem+json" in response
    assert web.get("/health").status_code == 200


@pytest.mark.fault("F31", "F6")
def test_probes_answer_while_every_thread_reads_a_slow_body(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS, GUNICORN_QUEUE_SECONDS="0.5")
    headers = log_in(web)

    with ExitStack() as clients:
        for _ in range(24):  # no one can know when a chunked body is complete, so a thread reads it
            clients.enter_context(begin_request(web, LOGIN, JSON, CHUNKED, body=b"5\r\n{"))
        assert wait_until(lambda: web.get(ME, headers=headers).status_code == 503, 120)
        refused = web.get(ME, headers=headers)
        probes = [web.get(path).status_code for path in ("/health", "/ready")]
        workers = web.process.children()

    assert_refused(refused)
    assert probes == [200, 200]
    assert wait_until(lambda: web.get(ME, headers=headers).status_code == 200, 120)
    assert web.process.children() == workers


@pytest.mark.fault("F31")
def test_request_without_free_thread_is_refused(start_web: StartWeb, migrated_database: str) -> None:
    web = start_web(FAULT_APP, **ONE_PROCESS, GUNICORN_QUEUE_SECONDS="0.5")
    path, lock = HOLD

    with ThreadPoolExecutor(2) as pool:
        with locked(migrated_database, lock) as waiting:
            held = [pool.submit(web.get, path) for _ in range(2)]
            assert wait_until(lambda: waiting() == 2, 120)
            refused, health, ready = web.get(ME), web.get("/health"), web.get("/ready")
            assert not any(request.done() for request in held)
        texts = [request.result().text for request in held]

    assert_refused(refused)
    assert refused.headers["X-Request-ID"] == refused.json()["request_id"]
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert (health.status_code, ready.status_code) == (200, 200)
    assert texts == ["held", "held"]
    assert web.get(ME).status_code == 401


@pytest.mark.fault("F31")
def test_clients_that_ignore_the_response_stop_no_process(start_web: StartWeb) -> None:
    # Gunicorn waits two seconds for each such client in its main thread, and then kills the process as unresponsive.
    web = start_web(**ONE_PROCESS, GUNICORN_TIMEOUT="15")
    workers = web.process.children()

    with ExitStack() as clients:
        fields = ("Connection: close", "Content-Length: 3000000")
        opened = [clients.enter_context(begin_request(web, "/health", *fields)) for _ in range(60)]
        statuses = {client.recv(12) for client in opened}
        health = web.get("/health")

        assert statuses == {b"HTTP/1.1 405"}
        assert health.status_code == 200
        assert web.process.children() == workers


def test_slow_statement_is_cancelled_and_affects_no_other_request(start_web: StartWeb, migrated_database: str) -> None:
    web = start_web(FAULT_APP, **ONE_PROCESS, DB_READ_TIMEOUT_MS="500", DB_STATEMENT_TIMEOUT_MS="600000")
    headers = log_in(web)

    refused = web.get("/faults/sleep")
    others = {web.get(ME, headers=headers).status_code for _ in range(5)}

    assert_refused(refused)
    assert others == {200}
    engine = sa.create_engine(migrated_database)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        running = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active'")
        assert wait_until(lambda: connection.scalar(running) == 1, 60)  # this query itself
    engine.dispose()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may freeze."""
    with start_postgres() as server:
        yield server


def test_read_on_a_frozen_database_is_refused(start_web: StartWeb, own_postgres: PostgresServer) -> None:
    url = own_postgres.create_database("app")
    settings = {"DB_READ_TIMEOUT_MS": "500", "DB_STATEMENT_TIMEOUT_MS": "600000", "GUNICORN_QUEUE_SECONDS": "1"}
    web = start_web(["./entrypoint.sh", "web"], DATABASE_URL=url, **ONE_PROCESS, **settings)
    headers = log_in(web)
    own_postgres.pause()

    try:
        reads = [web.get(ME, headers=headers) for _ in range(5)]
        health, ready = web.get("/health"), web.get("/ready")
    finally:
        own_postgres.resume()

    for read in reads:
        assert_refused(read)
    assert (health.status_code, ready.status_code) == (200, 503)
    assert wait_until(lambda: web.get(ME, headers=headers).status_code == 200, 120)


@pytest.mark.fault("F5")
def test_metric_files_are_not_where_uploads_are(start_web: StartWeb) -> None:
    web = start_web(PROMETHEUS_MULTIPROC_DIR="")
    maps = Path(f"/proc/{web.process.children()[0]}/maps").read_text()

    folders = {Path(line.split()[-1]).parent for line in maps.splitlines() if line.endswith(".db")}

    assert [folder.parent for folder in folders] == [Path("/dev/shm")]
    assert web.process.stop() == 0
    assert not any(folder.exists() for folder in folders)


def test_full_redis_rejects_no_request(start_web: StartWeb, own_redis: RedisServer) -> None:
    web = start_web(redis_url=own_redis.url)
    headers = log_in(web)
    with own_redis.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")

    statuses = [web.get(path, headers=headers).status_code for path in ("/health", "/ready", ME)]
    login = web.post(LOGIN, ANN)

    assert statuses == [200, 200, 200]
    assert login.status_code == 200
