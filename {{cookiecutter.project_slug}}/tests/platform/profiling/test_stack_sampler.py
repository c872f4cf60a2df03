"""Profiles of the test process itself."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.platform.profiling.stack_sampler import CpuProfile, profile_cpu, profile_memory

THIS_FILE = "tests/platform/profiling/test_stack_sampler.py"


def burn_cpu(stop: threading.Event) -> None:
    while not stop.is_set():
        for _ in range(10_000):
            pass


def wait(stop: threading.Event) -> None:
    stop.wait()


def start_short_threads(stop: threading.Event) -> None:
    while not stop.is_set():
        threading.Thread(target=time.sleep, args=(0.001,)).start()


@contextmanager
def busy(*functions: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run functions in threads while the block runs."""
    stop = threading.Event()
    threads = [threading.Thread(target=function, args=(stop,)) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.req("O7")
def test_hot_function_is_first_and_waiting_threads_are_absent() -> None:
    started = time.monotonic()
    with busy(burn_cpu, wait, wait):
        profile = profile_cpu(1)
    seconds = time.monotonic() - started

    first = profile.top()[0]
    assert first.name == "burn_cpu"
    assert first.location == f"{THIS_FILE}:{burn_cpu.__code__.co_firstlineno}"
    assert first.share > 0.8
    assert 0.1 < first.seconds <= profile.used <= seconds + 0.2
    assert len(profile.top(2)) <= 2
    assert not [function for function in profile.top() if function.name == "wait"]


@pytest.mark.req("O7")
def test_profile_renders_as_text_and_html() -> None:
    with busy(burn_cpu):
        profile = profile_cpu(0.3)

    assert "burn_cpu" in profile.as_text()
    page = profile.as_html()
    assert page.startswith("<!DOCTYPE html>")
    assert '"burn_cpu' in page
    assert "http" not in page.split("<script>")[0]


@pytest.mark.req("O7")
def test_profile_of_an_idle_process_renders_without_functions() -> None:
    profile = CpuProfile({}, seconds=1, samples=0)

    assert profile.top() == []
    assert "No samples" in profile.as_text()
    assert profile.as_html().startswith("<!DOCTYPE html>")


@pytest.mark.req("O7")
def test_threads_may_start_and_end_during_a_profile() -> None:
    with busy(start_short_threads):
        assert profile_cpu(0.5).used > 0


@pytest.mark.req("O7")
def test_largest_allocation_is_first() -> None:
    kept: list[str] = []

    def fill(stop: threading.Event) -> None:
        while not (tracemalloc.is_tracing() or stop.is_set()):
            stop.wait(0.01)
        kept.extend(str(number) * 20 for number in range(50_000))

    with busy(fill):
        lines = profile_memory(2)

    assert len(kept) == 50_000
    assert lines[0].location == f"{THIS_FILE}:{fill.__code__.co_firstlineno + 3}"
    assert lines[0].size > 50_000 * 50
    assert not tracemalloc.is_tracing()


@pytest.mark.req("O7")
def test_memory_profile_skips_if_tracemalloc_already_runs() -> None:
    tracemalloc.start()
    try:
        assert profile_memory(0.01) == []
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
