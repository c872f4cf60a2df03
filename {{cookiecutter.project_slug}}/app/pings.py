"""What the service depends on, and whether it answers.

A module that brings a dependency registers how to ask it. All are asked at the same time, each within `PING_SECONDS`:
one that is frozen takes no longer to notice than one that is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask

PING_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    """What a ping came to: `ok`, `error` or `timeout`, and the seconds it took."""

    verdict: str
    seconds: float


class Ping:
    """One dependency's sign of life, asked in a thread, since a frozen peer may hold its caller for long."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._answer = Answer("timeout", PING_SECONDS)

    def start(self) -> threading.Thread:
        """Begin to ask, unless an earlier question still waits: a frozen peer must not collect threads."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            return self._thread

    def answer(self, thread: threading.Thread, deadline: float) -> Answer:
        """The answer that the thread got; `timeout` if it has none at the deadline (monotonic seconds)."""
        thread.join(max(0.0, deadline - time.monotonic()))
        return Answer("timeout", PING_SECONDS) if thread.is_alive() else self._answer

    def _run(self) -> None:
        started = time.monotonic()
        try:
            self._ask()
            verdict = "ok"
        except Exception:  # noqa: BLE001 - whatever it was, the dependency cannot be used
            verdict = "error"
        self._answer = Answer(verdict, time.monotonic() - started)


def register_ping(app: Flask, name: str, ask: Callable[[], object]) -> None:
    """Make readiness depend on `ask`, which raises when the dependency cannot be used."""
    _pings(app)[name] = Ping(ask)


def ask_all(app: Flask) -> dict[str, Answer]:
    """Ask every dependency of the app; takes at most `PING_SECONDS` altogether."""
    deadline = time.monotonic() + PING_SECONDS
    asked = {name: (ping, ping.start()) for name, ping in _pings(app).items()}
    return {name: ping.answer(thread, deadline) for name, (ping, thread) in asked.items()}


def _pings(app: Flask) -> dict[str, Ping]:
    pings: dict[str, Ping] = app.extensions.setdefault("pings", {})
    return pings
