"""Requests that flood the service, and the clients that send them from another process."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from queue import Empty

TIMEOUT_SECONDS = 60
JSON = {"Content-Type": "application/json"}
BOUNDARY = "overload"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

NO_RESPONSE = 0  # counted as the status of a request whose connection broke


@dataclass(frozen=True)
class FloodRequest:
    """A request of a flood."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def send(port: int, request: FloodRequest, *, timeout: float = TIMEOUT_SECONDS, source: str = "127.0.0.1") -> int:
    """Send one request on a new connection; return its status, or `NO_RESPONSE`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout, source_address=(source, 0))
    try:
        connection.request(request.method, request.path, request.body or None, dict(request.headers))
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return NO_RESPONSE
    finally:
        connection.close()
    return response.status


@dataclass
class Flood:
    """Statuses of the requests of a flood; complete after the block of `flood`."""

    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Number of requests that succeeded."""
        return sum(number for status, number in self.statuses.items() if 200 <= status < 300)  # noqa: PLR2004


@contextmanager
def flood(port: int, clients: int, requests: Sequence[FloodRequest]) -> Iterator[Flood]:
    """Send requests in turn from `clients` connections of another process until the block ends.

    Another process, because its threads would delay the probes of this one.
    """
    context = multiprocessing.get_context("spawn")
    signals, results = Signals(context.Event(), context.Event()), context.Queue()
    process = context.Process(target=_run_clients, args=(port, clients, requests, signals, results), daemon=True)
    process.start()
    signals.started.wait()
    result = Flood()
    try:
        yield result
    finally:
        signals.stop.set()
        with suppress(Empty):
            result.statuses.update(results.get(timeout=2 * TIMEOUT_SECONDS))
        process.kill()
        process.join()


@dataclass(frozen=True)
class Signals:
    """Set by the clients when they have started, and by their parent when they must stop."""

    started: Event
    stop: Event


def _run_clients(
    port: int, clients: int, requests: Sequence[FloodRequest], signals: Signals, results: Queue[Counter[int]]
) -> None:
    statuses: Counter[int] = Counter()
    turns, lock = cycle(requests), threading.Lock()

    def work() -> None:
        while not signals.stop.is_set():
            with lock:
                request = next(turns)
            status = send(port, request)
            with lock:
                statuses[status] += 1

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    signals.started.set()
    for thread in threads:
        thread.join()
    results.put(statuses)


def json_request(path: str, content: object, token: str = "") -> FloodRequest:
    """Return a POST request with a JSON body."""
    return FloodRequest("POST", path, json.dumps(content).encode(), JSON | bearer(token))


def upload_request(content: bytes, token: str) -> FloodRequest:
    """Return an upload of a CSV file."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'.encode()
    body = part + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return FloodRequest("POST", "/api/v1/data-files", body, FORM | bearer(token))


def bearer(token: str) -> dict[str, str]:
    """Return the header of a bearer token."""
    return {"Authorization": f"Bearer {token}"} if token else {}
