"""A stop loses no request: first the service says that it leaves, then it finishes what it has."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import requests
import sqlalchemy as sa

from tests.running.conftest import StartWeb

pytestmark = pytest.mark.running

LOGIN = ("/api/v1/auth/login", {"email": "ann@example.org", "password": "wrong password"})


@pytest.mark.req("S8", "S6")
def test_a_stop_drains_first_and_finishes_what_is_in_flight(start_web: StartWeb, migrated_database: str) -> None:
    web = start_web(DRAIN_SECONDS="2")
    answers: list[requests.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(web.post(*LOGIN)))
    engine = sa.create_engine(migrated_database)
    with engine.connect() as connection:
        connection.execute(sa.text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
        waiting.start()
        time.sleep(0.5)

        web.process.send(signal.SIGTERM)
        time.sleep(0.3)
        ready, health = web.get("/ready"), web.get("/health")
        time.sleep(2.5)  # past the drain, into the stop
        assert not answers
        connection.rollback()
    waiting.join(20)
    engine.dispose()

    assert (ready.status_code, ready.json()["checks"]["shutdown"]) == (503, "draining")
    assert health.status_code == 200
    assert [answer.status_code for answer in answers] == [401]
    assert web.process.wait(20) == 0


@pytest.mark.req("S8", "S6")
def test_no_request_is_lost_by_a_stop_under_load(start_web: StartWeb) -> None:
    web = start_web(DRAIN_SECONDS="2", GUNICORN_WORKERS="2")
    statuses: list[int] = []
    leaving = threading.Event()

    def ask() -> None:
        """Ask as a balancer does: until readiness says no."""
        while not leaving.is_set():
            statuses.append(web.get("/docs").status_code)
            if web.get("/ready").status_code == 503:
                leaving.set()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    web.process.send(signal.SIGTERM)
    for thread in threads:
        thread.join(20)

    assert leaving.is_set()
    assert set(statuses) == {200}
    assert web.process.wait(20) == 0


@pytest.mark.req("S6")
def test_a_second_signal_does_not_wait_for_the_drain(start_web: StartWeb) -> None:
    web = start_web(DRAIN_SECONDS="30")

    web.process.send(signal.SIGTERM)
    time.sleep(0.5)

    assert web.process.stop(timeout=10) == 0
