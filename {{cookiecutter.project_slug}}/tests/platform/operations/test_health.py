"""Probes in one process; `running/test_probes.py` stops and freezes the dependencies."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.platform.redis.client import redis_of
from app.platform.tasks.celery import heartbeat
from app.platform.telemetry.dependency_checks import register_dependency_check, run_checks
from tests.environments import OPERATOR, basic_environment
from tests.servers import wait_until


def failing_check() -> None:
    raise OSError("no route to host")


@pytest.mark.req("S8")
def test_health_checks_no_dependency(client: FlaskClient) -> None:
    assert client.get("/health").get_json() == {"status": "ok"}


@pytest.mark.req("S8")
def test_ready_names_its_checks(app: Flask, client: FlaskClient) -> None:
    response = client.get("/ready")

    checks = {"database": "ok", "redis": "ok"} if redis_of(app) else {"database": "ok"}
    assert (response.status_code, response.get_json()) == (200, {"status": "ready", "checks": checks})


@pytest.mark.req("S8")
def test_ready_returns_503_when_a_check_fails() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    register_dependency_check(app, "search", failing_check)

    response = app.test_client().get("/ready")

    assert response.status_code == 503
    assert response.get_json() == {"status": "not_ready", "checks": {"database": "ok", "search": "error"}}
    assert "no route" not in response.text


@pytest.mark.req("S8")
def test_blocked_check_times_out_and_runs_once() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    release = threading.Event()
    calls = []

    def block() -> None:
        calls.append(1)
        release.wait(30)

    register_dependency_check(app, "search", block)

    started = time.monotonic()
    first, second = (run_checks(app)["search"].status for _ in range(2))
    seconds = time.monotonic() - started
    release.set()

    assert (first, second) == ("timeout", "timeout")
    assert seconds < 10  # the check itself blocks for 30 s
    assert calls == [1]
    assert wait_until(lambda: run_checks(app)["search"].status == "ok", 60)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
@pytest.mark.req("S8")
def test_detailed_health_requires_the_token(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get("/health/detailed", headers=headers).status_code == 401


@pytest.mark.req("S8")
def test_detailed_health_is_forbidden_without_a_configured_token() -> None:
    client = create_app(basic_environment(METRICS_TOKEN="")).test_client()

    assert client.get("/health/detailed", headers={"Authorization": "Bearer "}).status_code == 403


@pytest.mark.req("S8")
def test_detailed_health_shows_versions_latencies_migrations_and_workers(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        heartbeat()

    body = client.get("/health/detailed", headers=OPERATOR).get_json()

    assert body["status"] == "ready"
    assert body["version"] == "0.1.0"
    assert body["migrations"]["at_head"] is True
    assert body["latency_ms"]["database"] >= 0
    assert body["worker"] == ({"heartbeat_age_s": body["worker"]["heartbeat_age_s"]} if redis_of(app) else None)


def test_detailed_health_shows_missing_migrations(empty_database: str) -> None:
    client = create_app(basic_environment(DATABASE_URL=empty_database)).test_client()

    migrations: Mapping[str, object] = client.get("/health/detailed", headers=OPERATOR).get_json()["migrations"]

    assert migrations == {"current": None, "head": migrations["head"], "at_head": False}
