"""A constant light load of reads and writes that records every failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from itertools import cycle
from types import TracebackType
from typing import Self

from e2e.client import Client, Response

READS = ("/ready", "/api/v1/locations", "/api/v1/openapi.json", "/health")
READ_PAUSE_SECONDS = 0.15  # every fourth read is a list: the limit is 300 per hour
WRITE_PAUSE_SECONDS = 0.6  # the limit is 120 per minute


@dataclass
class LoadGenerator:
    """Sends reads and writes as `client` while the block runs."""

    client: Client
    sent: int = 0
    slowest: float = 0
    failures: list[str] = field(default_factory=list)
    # Held during a write; a test that acquires it knows that no write is in flight.
    write_lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start the threads."""
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._write)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop after the requests in flight are answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        for path in cycle(READS):
            self._record(f"GET {path}", partial(self.client.get, path), 200)
            if self._stop.wait(READ_PAUSE_SECONDS):
                return

    def _write(self) -> None:
        write = partial(self.client.post, "/api/v1/locations", {"latitude": 1, "longitude": 2})
        while not self._stop.wait(WRITE_PAUSE_SECONDS):
            with self.write_lock:
                self._record("POST", write, 201)

    def _record(self, name: str, send: Callable[[], Response], expected: int) -> None:
        start = time.monotonic()
        try:
            status = send().status
            outcome = "" if status == expected else f"{status}"
        except (OSError, HTTPException) as error:
            outcome = repr(error)
        self.sent += 1
        self.slowest = max(self.slowest, time.monotonic() - start)
        if outcome:
            self.failures.append(f"{time.strftime('%X')} {name}: {outcome}")
