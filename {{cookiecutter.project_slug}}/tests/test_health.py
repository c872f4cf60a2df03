"""Probes, seen from inside; `running/test_probes.py` stops and freezes what they ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.pings import PING_SECONDS, ask_all, register_ping
from app.redis_client import redis_of
from app.worker import heartbeat
from tests.environments import OPERATOR, basic_environment


def failing_ping() -> None:
    raise OSError("no route to host")


@pytest.mark.req("S8")
def test_health_asks_nothing(client: FlaskClient) -> None:
    assert client.get("/health").get_json() == {"status": "ok"}


@pytest.mark.req("S8")
def test_ready_names_what_it_asked(app: Flask, client: FlaskClient) -> None:
    answer = client.get("/ready")

    asked = {"database": "ok", "redis": "ok"} if redis_of(app) else {"database": "ok"}
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ready", "checks": asked})


@pytest.mark.req("S8")
def test_ready_is_503_when_a_dependency_fails() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    register_ping(app, "search", failing_ping)

    answer = app.test_client().get("/ready")

    assert answer.status_code == 503
    assert answer.get_json() == {"status": "not_ready", "checks": {"database": "ok", "search": "error"}}
    assert "no route" not in answer.text


@pytest.mark.req("S8")
def test_a_ping_that_hangs_is_not_waited_for_and_not_asked_twice() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    release = threading.Event()
    asked = []

    def hang() -> None:
        asked.append(1)
        release.wait(30)

    register_ping(app, "search", hang)

    started = time.monotonic()
    first, second = (ask_all(app)["search"].verdict for _ in range(2))
    took = time.monotonic() - started
    release.set()
    time.sleep(0.1)

    assert (first, second) == ("timeout", "timeout")
    assert took < 2 * PING_SECONDS + 1
    assert asked == [1]
    assert ask_all(app)["search"].verdict == "ok"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
@pytest.mark.req("S8")
def test_detailed_health_needs_the_operators_token(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get("/health/detailed", headers=headers).status_code == 401


@pytest.mark.req("S8")
def test_detailed_health_is_closed_while_no_token_is_set() -> None:
    client = create_app(basic_environment(METRICS_TOKEN="")).test_client()

    assert client.get("/health/detailed", headers={"Authorization": "Bearer "}).status_code == 403


@pytest.mark.req("S8")
def test_detailed_health_tells_versions_latencies_migrations_and_workers(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        heartbeat()

    body = client.get("/health/detailed", headers=OPERATOR).get_json()

    assert body["status"] == "ready"
    assert body["version"] == "0.1.0"
    assert body["migrations"]["at_head"] is True
    assert body["latency_ms"]["database"] >= 0
    assert body["worker"] == ({"heartbeat_age_s": body["worker"]["heartbeat_age_s"]} if redis_of(app) else None)


def test_detailed_health_sees_a_database_behind_the_code(empty_database: str) -> None:
    client = create_app(basic_environment(DATABASE_URL=empty_database)).test_client()

    migrations: Mapping[str, object] = client.get("/health/detailed", headers=OPERATOR).get_json()["migrations"]

    assert migrations == {"current": None, "head": migrations["head"], "at_head": False}
