"""The retry policy: attempts, time limit, and no log lines."""

from __future__ import annotations

import time

import pytest

from app.platform import retries
from app.platform.retries import attempts


class Clock:
    """A clock that only pauses advance."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Operation:
    """An operation that raises an error in each of its first calls."""

    def __init__(self, error: type[Exception], failures: int) -> None:
        self.calls = 0
        self._error, self._failures = error, failures

    def run(self, *, timeout: float, pause: float = 0.01, max_pause: float = 0.02) -> None:
        for attempt in attempts(ConnectionError, timeout=timeout, first_pause=pause, max_pause=max_pause):
            with attempt:
                self.calls += 1
                if self.calls <= self._failures:
                    raise self._error("failed")


def test_retries_until_success_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    operation = Operation(ConnectionError, failures=3)

    operation.run(timeout=30)

    assert operation.calls == 4
    assert caplog.records == []


def test_raises_the_last_error_at_the_time_limit() -> None:
    operation = Operation(ConnectionError, failures=1_000_000)
    started = time.monotonic()

    with pytest.raises(ConnectionError, match="failed"):
        operation.run(timeout=0.1)

    assert 0.1 <= time.monotonic() - started < 10
    assert operation.calls > 1


@pytest.mark.parametrize(
    ("timeout", "pauses"),
    [(1, [0.25, 0.5, 0.25]), (2, [0.25, 0.5, 1, 0.25]), (4, [0.25, 0.5, 1, 2, 0.25]), (8, [0.25, 0.5, 1, 2, 4, 0.25])],
)
def test_last_attempt_starts_at_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, timeout: float, pauses: list[float]
) -> None:
    clock = Clock()
    monkeypatch.setattr(retries, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    operation = Operation(ConnectionError, failures=1_000_000)

    with pytest.raises(ConnectionError):
        operation.run(timeout=timeout, pause=0.25, max_pause=5)

    assert clock.slept == pauses
    assert operation.calls == len(pauses) + 1


def test_slow_attempt_past_the_time_limit_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(retries, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "sleep", clock.sleep)

    def run() -> None:
        for attempt in attempts(ConnectionError, timeout=1, first_pause=0.25, max_pause=5):
            with attempt:
                clock.now += 0.8
                raise ConnectionError

    with pytest.raises(ConnectionError):
        run()

    assert clock.slept == pytest.approx([0.2])


def test_jitter_never_exceeds_the_maximum_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    for attempt in attempts(ConnectionError, timeout=30, first_pause=0.2, max_pause=0.5, jitter=0.1):
        with attempt:
            if attempt.num < 4:
                raise ConnectionError

    assert 0.2 <= slept[0] <= 0.3
    assert 0.4 <= slept[1] <= 0.5
    assert slept[2] == 0.5


def test_other_errors_are_not_retried() -> None:
    operation = Operation(LookupError, failures=1)

    with pytest.raises(LookupError):
        operation.run(timeout=30, pause=10, max_pause=20)

    assert operation.calls == 1
