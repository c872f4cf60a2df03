"""Profiles of this very process."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.observability.sampling import profile_memory, profile_processor

THIS = "tests/observability/test_sampling.py"


def burn(over: threading.Event) -> None:
    while not over.is_set():
        for _ in range(10_000):
            pass


def wait(over: threading.Event) -> None:
    over.wait()


def come_and_go(over: threading.Event) -> None:
    while not over.is_set():
        threading.Thread(target=time.sleep, args=(0.001,)).start()


@contextmanager
def busy(*works: Callable[[threading.Event], None]) -> Iterator[None]:
    """Threads that do something meanwhile."""
    over = threading.Event()
    threads = [threading.Thread(target=work, args=(over,)) for work in works]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.req("O7")
def test_a_hot_function_in_any_thread_tops_the_profile_and_waiting_ones_weigh_nothing() -> None:
    with busy(burn, wait, wait):
        profile = profile_processor(1)

    first = profile.top()[0]
    assert first.name == "burn"
    assert first.place == f"{THIS}:{burn.__code__.co_firstlineno}"
    assert first.share > 0.8
    assert 0.1 < first.seconds <= profile.used <= 1.2
    assert len(profile.top(2)) <= 2
    assert not [function for function in profile.top() if function.name == "wait"]


@pytest.mark.req("O7")
def test_a_profile_can_be_read_as_text_and_as_a_page() -> None:
    with busy(burn):
        profile = profile_processor(0.3)

    assert "burn" in profile.as_text()
    page = profile.as_html()
    assert page.startswith("<!DOCTYPE html>")
    assert '"burn' in page
    assert "http" not in page.split("<script>")[0]


@pytest.mark.req("O7")
def test_nothing_that_works_makes_an_empty_profile() -> None:
    profile = profile_processor(0.05)

    assert "No samples" in profile.as_text() or profile.used >= 0
    assert profile.as_html()


@pytest.mark.req("O7")
def test_threads_that_come_and_go_meanwhile_do_no_harm() -> None:
    with busy(come_and_go):
        assert profile_processor(0.5).used > 0


@pytest.mark.req("O7")
def test_the_line_that_fills_the_memory_tops_the_list() -> None:
    kept: list[str] = []

    def fill(over: threading.Event) -> None:
        over.wait(0.2)
        kept.extend(str(number) * 20 for number in range(50_000))

    with busy(fill):
        lines = profile_memory(1)

    assert len(kept) == 50_000
    assert lines[0].place == f"{THIS}:{fill.__code__.co_firstlineno + 2}"
    assert lines[0].size > 50_000 * 50
    assert not tracemalloc.is_tracing()


@pytest.mark.req("O7")
def test_memory_that_somebody_else_watches_is_left_to_them() -> None:
    tracemalloc.start()
    try:
        assert profile_memory(0.01) == []
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
