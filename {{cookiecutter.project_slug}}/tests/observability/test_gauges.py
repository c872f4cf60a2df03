"""Figures that are asked for when somebody scrapes."""

from __future__ import annotations

import threading
import time

import pytest
from flask import Flask, current_app

from app import create_app
from app.observability.gauges import ask_gauges, register_gauge
from app.pings import PING_SECONDS
from tests.environments import OPERATOR, basic_environment


@pytest.fixture
def service() -> Flask:
    """An app whose gauges are the test's own."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))
    app.extensions["gauges"].clear()
    return app


@pytest.mark.req("O2")
def test_a_scrape_shows_what_was_asked_for(service: Flask) -> None:
    register_gauge(service, "backup_age_seconds", "Age of the newest backup", lambda: 5)
    register_gauge(service, "shelf_length", "Things on a shelf", lambda: {"a": 1, "b": 2}, label="shelf")

    text = service.test_client().get("/metrics", headers=OPERATOR).text

    assert "\nbackup_age_seconds 5.0\n" in text
    assert '\nshelf_length{shelf="a"} 1.0\nshelf_length{shelf="b"} 2.0\n' in text


@pytest.mark.req("O2")
def test_a_figure_that_cannot_be_had_is_left_out_and_the_scrape_stands(service: Flask) -> None:
    register_gauge(service, "broken", "Raises", lambda: 1 / 0)
    register_gauge(service, "unknown", "Has nothing to tell", lambda: None)
    register_gauge(service, "known", "Has", lambda: float(current_app.name == "app"))

    answer = service.test_client().get("/metrics", headers=OPERATOR)

    assert answer.status_code == 200
    assert "\nknown 1.0\n" in answer.text
    assert "\n# HELP broken " not in answer.text
    assert "\n# HELP unknown " not in answer.text


@pytest.mark.req("O2")
def test_a_figure_that_cannot_be_had_any_more_is_not_told_from_memory(service: Flask) -> None:
    answers = iter([1.0])
    register_gauge(service, "known_once", "Raises the second time", lambda: next(answers))

    assert [[metric.name for metric in ask_gauges(service)] for _ in range(2)] == [["known_once"], []]


@pytest.mark.req("O2")
def test_figures_that_hang_cost_a_second_together_and_one_thread_each(service: Flask) -> None:
    freed = threading.Event()
    for number in range(3):
        register_gauge(service, f"frozen_{number}", "Hangs", lambda: freed.wait(30))
    register_gauge(service, "known", "Does not", lambda: 1)
    threads = threading.active_count()

    started = time.monotonic()
    names = [[metric.name for metric in ask_gauges(service)] for _ in range(2)]
    took = time.monotonic() - started
    waiting = threading.active_count() - threads
    freed.set()

    assert names == [["known"], ["known"]]
    assert took < 2 * PING_SECONDS + 1
    assert waiting == 3
