"""A light, constant load: reads and writes at a steady pace, with every failure noted."""

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

from e2e.client import Answer, Client

READS = ("/ready", "/api/v1/locations", "/api/v1/openapi.json", "/health")
READ_PAUSE_SECONDS = 0.15  # the list is asked for in every fourth read: 300 an hour are allowed
WRITE_PAUSE_SECONDS = 0.6  # 120 a minute are allowed


@dataclass
class Load:
    """Reads and writes as `client` for as long as the block runs."""

    client: Client
    sent: int = 0
    slowest: float = 0
    failures: list[str] = field(default_factory=list)
    # Held while a write is under way: whoever takes it knows that none is.
    writing: threading.Lock = field(default_factory=threading.Lock)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Begin."""
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._write)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End, when the requests under way are answered."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        for path in cycle(READS):
            self._note(f"GET {path}", partial(self.client.get, path), 200)
            if self._end.wait(READ_PAUSE_SECONDS):
                return

    def _write(self) -> None:
        write = partial(self.client.post, "/api/v1/locations", {"latitude": 1, "longitude": 2})
        while not self._end.wait(WRITE_PAUSE_SECONDS):
            with self.writing:
                self._note("POST", write, 201)

    def _note(self, what: str, ask: Callable[[], Answer], wanted: int) -> None:
        start = time.monotonic()
        try:
            status = ask().status
            outcome = "" if status == wanted else f"{status}"
        except (OSError, HTTPException) as error:
            outcome = repr(error)
        self.sent += 1
        self.slowest = max(self.slowest, time.monotonic() - start)
        if outcome:
            self.failures.append(f"{time.strftime('%X')} {what}: {outcome}")
