"""Graceful shutdown: readiness fails first, then the requests in flight finish."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import requests
import sqlalchemy as sa

from tests.running.conftest import StartWeb
from tests.servers import wait_until

pytestmark = pytest.mark.running

LOGIN = ("/api/v1/auth/login", {"email": "ann@example.org", "password": "wrong password"})

WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass")


@pytest.mark.req("S8", "S6")
def test_stop_drains_and_finishes_requests_in_flight(start_web: StartWeb, migrated_database: str) -> None:
    web = start_web(DRAIN_SECONDS="10", GUNICORN_GRACEFUL_TIMEOUT="300", DB_STATEMENT_TIMEOUT_MS="300000")
    responses: list[requests.Response] = []
    waiting = threading.Thread(target=lambda: responses.append(web.post(*LOGIN)))
    engine = sa.create_engine(migrated_database)
    with engine.connect() as connection:
        connection.execute(sa.text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
        waiting.start()
        assert wait_until(lambda: bool(connection.scalar(WAITING)), 60)

        web.process.send(signal.SIGTERM)
        assert wait_until(lambda: web.get("/ready").status_code == 503, 8)
        ready, health = web.get("/ready"), web.get("/health")
        assert wait_until(lambda: len(web.process.children()) == 1, 120)  # the stop has ended the idle process
        assert not responses
        connection.rollback()
    waiting.join(300)
    engine.dispose()

    assert (ready.status_code, ready.json()["checks"]["shutdown"]) == (503, "draining")
    assert health.status_code == 200
    assert [response.status_code for response in responses] == [401]
    assert web.process.wait(300) == 0


@pytest.mark.req("S8", "S6")
def test_stop_under_load_loses_no_request(start_web: StartWeb) -> None:
    web = start_web(DRAIN_SECONDS="10", GUNICORN_WORKERS="2")
    statuses: list[int] = []
    not_ready = threading.Event()

    def request_until_not_ready() -> None:
        """Send requests as a load balancer does: until the readiness check fails."""
        while not not_ready.is_set():
            statuses.append(web.get("/docs").status_code)
            if web.get("/ready").status_code == 503:
                not_ready.set()

    threads = [threading.Thread(target=request_until_not_ready) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: len(statuses) > 50, 120)
    web.process.send(signal.SIGTERM)
    for thread in threads:
        thread.join(300)

    assert not_ready.is_set()
    assert set(statuses) == {200}
    assert web.process.wait(300) == 0


@pytest.mark.req("S6")
def test_second_signal_skips_the_drain(start_web: StartWeb) -> None:
    web = start_web(DRAIN_SECONDS="60")

    web.process.send(signal.SIGTERM)
    assert wait_until(lambda: web.get("/ready").status_code == 503, 30)
    started = time.monotonic()
    code = web.process.stop()

    assert code == 0
    assert time.monotonic() - started < 50  # less than the drain
