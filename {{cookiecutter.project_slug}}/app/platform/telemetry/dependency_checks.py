"""Checks of the dependencies, for readiness and gauges.

A module that adds a dependency registers a check for it. All checks run in parallel, each for at most
`CHECK_TIMEOUT_SECONDS`: a dependency that hangs takes no longer than that to detect.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask

from app.platform.components import platform_of

CHECK_TIMEOUT_SECONDS = 0.8  # below the second that probes wait


@dataclass(frozen=True)
class CheckResult:
    """The result of a check: `ok`, `error` or `timeout`, and its duration in seconds."""

    status: str
    seconds: float


class DependencyCheck:
    """A check that runs in a separate thread, because a dependency that hangs may block its caller for long."""

    def __init__(self, check: Callable[[], object]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._result = CheckResult("timeout", CHECK_TIMEOUT_SECONDS)

    def start(self) -> threading.Thread:
        """Start the check unless an earlier run still waits (threads would accumulate); return the thread."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            return self._thread

    def result(self, thread: threading.Thread, deadline: float) -> CheckResult:
        """Return the result of a run; `timeout` if it has none at the deadline (monotonic seconds)."""
        thread.join(max(0.0, deadline - time.monotonic()))
        return CheckResult("timeout", CHECK_TIMEOUT_SECONDS) if thread.is_alive() else self._result

    def _run(self) -> None:
        started = time.monotonic()
        try:
            self._check()
            status = "ok"
        except Exception:  # noqa: BLE001 - any error means that the dependency cannot be used
            status = "error"
        self._result = CheckResult(status, time.monotonic() - started)


class DependencyChecks(dict[str, DependencyCheck]):
    """The checks of one app, by the name of the dependency."""


HealthFact = Callable[[], Mapping[str, Any] | None]


class HealthFacts(dict[str, HealthFact]):
    """What `/health/detailed` adds to the checks, by name."""


def register_dependency_check(app: Flask, name: str, check: Callable[[], object]) -> None:
    """Make readiness depend on `check`, which raises if the dependency cannot be used."""
    platform_of(app).get_or_create(DependencyChecks)[name] = DependencyCheck(check)


def register_health_fact(app: Flask, name: str, fact: HealthFact) -> None:
    """Add the result of `fact` to `/health/detailed`; it is not called while a dependency is unavailable."""
    platform_of(app).get_or_create(HealthFacts)[name] = fact


def run_checks(app: Flask) -> dict[str, CheckResult]:
    """Run every check of the app; takes at most `CHECK_TIMEOUT_SECONDS` in total."""
    deadline = time.monotonic() + CHECK_TIMEOUT_SECONDS
    checks = platform_of(app).get_or_create(DependencyChecks)
    started = {name: (check, check.start()) for name, check in checks.items()}
    return {name: check.result(thread, deadline) for name, (check, thread) in started.items()}
