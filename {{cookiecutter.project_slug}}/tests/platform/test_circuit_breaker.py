"""The circuit breaker, with a fake clock."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.platform import circuit_breaker
from app.platform.circuit_breaker import CircuitBreaker

COOLDOWN, TRIAL = 2.0, 7.0


class FakeClock:
    """Monotonic seconds that only the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(circuit_breaker, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture(params=[0.0, TRIAL], ids=["without trial", "with trial"])
def breaker(request: pytest.FixtureRequest, clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(COOLDOWN, trial=request.param)


def allowed(breaker: CircuitBreaker, calls: int = 3) -> list[bool]:
    return [breaker.allows_request() for _ in range(calls)]


def test_new_breaker_is_closed(breaker: CircuitBreaker) -> None:
    assert allowed(breaker) == [True, True, True]


def test_failure_opens_for_the_cooldown(breaker: CircuitBreaker, clock: FakeClock) -> None:
    breaker.record_failure()

    assert allowed(breaker) == [False, False, False]
    clock.now += COOLDOWN - 0.01
    assert not breaker.allows_request()


def test_all_callers_may_try_after_the_cooldown_without_trial(clock: FakeClock) -> None:
    breaker = CircuitBreaker(COOLDOWN)
    breaker.record_failure()

    clock.now += COOLDOWN

    assert allowed(breaker) == [True, True, True]


def test_only_one_caller_tries_after_the_cooldown_with_trial(clock: FakeClock) -> None:
    breaker = CircuitBreaker(COOLDOWN, trial=TRIAL)
    breaker.record_failure()

    clock.now += COOLDOWN

    assert allowed(breaker) == [True, False, False]


def test_next_caller_tries_after_trial_times_out(clock: FakeClock) -> None:
    breaker = CircuitBreaker(COOLDOWN, trial=TRIAL)
    breaker.record_failure()
    clock.now += COOLDOWN
    assert breaker.allows_request()

    clock.now += TRIAL

    assert allowed(breaker) == [True, False, False]


def test_success_closes(breaker: CircuitBreaker, clock: FakeClock) -> None:
    breaker.record_failure()
    clock.now += COOLDOWN
    assert breaker.allows_request()

    breaker.record_success()

    assert allowed(breaker) == [True, True, True]


def test_failed_trial_reopens_for_the_cooldown(breaker: CircuitBreaker, clock: FakeClock) -> None:
    breaker.record_failure()
    clock.now += COOLDOWN
    assert breaker.allows_request()

    breaker.record_failure()

    assert not breaker.allows_request()
    clock.now += COOLDOWN
    assert breaker.allows_request()
