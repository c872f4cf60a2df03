"""Gauges that are read at a scrape."""

from __future__ import annotations

import threading
import time

import pytest
from flask import Flask, current_app

from app import create_app
from app.platform.components import platform_of
from app.platform.telemetry.dependency_checks import CHECK_TIMEOUT_SECONDS
from app.platform.telemetry.gauges import Gauges, collect_gauges, register_gauge
from tests.environments import OPERATOR, basic_environment


@pytest.fixture
def service() -> Flask:
    """An app with no gauges but those of the test."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    platform_of(app).add(Gauges())
    return app


@pytest.mark.req("O2")
def test_scrape_contains_gauges(service: Flask) -> None:
    register_gauge(service, "backup_age_seconds", "Age of the newest backup", lambda: 5)
    register_gauge(service, "queue_length", "Messages in a queue", lambda: {"a": 1, "b": 2}, label="queue")

    text = service.test_client().get("/metrics", headers=OPERATOR).text

    assert "\nbackup_age_seconds 5.0\n" in text
    assert '\nqueue_length{queue="a"} 1.0\nqueue_length{queue="b"} 2.0\n' in text


@pytest.mark.req("O2")
def test_scrape_omits_gauges_that_fail(service: Flask) -> None:
    register_gauge(service, "broken", "Raises", lambda: 1 / 0)
    register_gauge(service, "unknown", "Has no value", lambda: None)
    register_gauge(service, "known", "Has a value", lambda: float(current_app.name == "app"))

    response = service.test_client().get("/metrics", headers=OPERATOR)

    assert response.status_code == 200
    assert "\nknown 1.0\n" in response.text
    assert "\n# HELP broken " not in response.text
    assert "\n# HELP unknown " not in response.text


@pytest.mark.req("O2")
def test_failed_gauge_does_not_repeat_its_last_value(service: Flask) -> None:
    values = iter([1.0])
    register_gauge(service, "known_once", "Raises at the second call", lambda: next(values))

    assert [[metric.name for metric in collect_gauges(service)] for _ in range(2)] == [["known_once"], []]


@pytest.mark.req("O2")
def test_blocked_gauges_share_one_timeout_and_use_one_thread_each(service: Flask) -> None:
    release = threading.Event()
    for number in range(3):
        register_gauge(service, f"frozen_{number}", "Blocks", lambda: release.wait(30))
    register_gauge(service, "known", "Has a value", lambda: 1)
    threads = threading.active_count()

    started = time.monotonic()
    names = [[metric.name for metric in collect_gauges(service)] for _ in range(2)]
    seconds = time.monotonic() - started
    blocked = threading.active_count() - threads
    release.set()

    assert names == [["known"], ["known"]]
    assert seconds < 2 * 3 * CHECK_TIMEOUT_SECONDS  # two collections; less than three timeouts each
    assert blocked == 3
