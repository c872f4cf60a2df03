"""Probes and another user's read, sent during a scenario."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.overload.requests import FloodRequest, bearer, send
from benchmarks.paired_statistics import percentile

PAUSE_SECONDS = 0.05
TIMEOUT_SECONDS = 30


@dataclass
class Probe:
    """The seconds and the status of each of its requests."""

    request: FloodRequest
    port: int
    source: str
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Send a request, and the next one after its response and a pause."""
        while not stop.wait(PAUSE_SECONDS):
            started = time.perf_counter()
            status = send(self.port, self.request, timeout=TIMEOUT_SECONDS, source=self.source)
            self.seconds.append(time.perf_counter() - started)
            self.statuses.append(status)

    @property
    def p99(self) -> float:
        """The 99th percentile of its seconds."""
        return percentile(self.seconds, 0.99)

    def share(self, *statuses: int, within: float) -> float:
        """Return the share of requests that had one of these statuses within so many seconds."""
        results = zip(self.statuses, self.seconds, strict=True)
        return sum(status in statuses and seconds <= within for status, seconds in results) / len(self.seconds)


@dataclass(frozen=True)
class Probes:
    """What is sent during a scenario."""

    health: Probe
    ready: Probe
    read: Probe


@contextmanager
def probing(port: int, token: str, source: str = "127.0.0.2") -> Iterator[Probes]:
    """Send probes and a user's read from another address until the block ends."""
    health, ready = (Probe(FloodRequest("GET", path), port, source) for path in ("/health", "/ready"))
    read = Probe(FloodRequest("GET", "/api/v1/users/me", headers=bearer(token)), port, source)
    stop = threading.Event()
    threads = [threading.Thread(target=probe.run, args=(stop,)) for probe in (health, ready, read)]
    for thread in threads:
        thread.start()
    try:
        yield Probes(health, ready, read)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
