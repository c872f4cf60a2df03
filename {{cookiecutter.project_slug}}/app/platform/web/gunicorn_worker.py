"""Gunicorn's threaded worker, with bounds for slow clients and for the queue of requests.

Gunicorn's own worker gives a connection a thread before its request has arrived: a few clients that send slowly keep
every thread waiting, and nothing answers `/health`. Here a connection waits in the poller, which needs no thread, while
the kernel receives its request (`SO_RCVLOWAT`).

- A request that does not arrive within `receive_seconds` is answered with 408. A thread reads a body that is longer
  than `BUFFERED_BYTES` or of unknown length; it must arrive at `BYTES_PER_SECOND`.
- A request that waits for a free thread for `queue_seconds` is answered with 503.
- `/health` has its own threads, which wait for nothing; `/ready` and `/metrics` have others.
- A request that Gunicorn rejects is answered with a problem document, and its text is not logged.
- A request that was sent before the response to the previous one is not read: the connection closes (no pipelining).

The methods that this class overrides are not documented: pyproject.toml limits Gunicorn's version.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import Counter
from werkzeug.exceptions import RequestTimeout

from app.platform.web.connection import Connection, HeadersTooLarge, discard_rest, refusal
from app.platform.web.problems import RETRY_AFTER_SECONDS

HEALTH_THREADS = 4
PROBE_THREADS = 4  # `/ready` can wait for a dependency
CHECK_SECONDS = 0.2  # between two looks at the queue
# A client that still sends its body reads the response only if the connection stays open: nginx would answer 502.
LINGER_SECONDS = 5.0
LINGER_BYTES = 64 * 1024 * 1024  # more than an upload
DISCARD_BYTES = 256 * 1024  # at a time
MAX_LINGERING = 256  # connections

NO_THREAD = "The service is busy. Try again shortly."
TOO_SLOW = "The request did not arrive in time."
TOO_LARGE = "The headers are too large."
MALFORMED = "The request is no valid HTTP request."
# Of what Gunicorn rejects; the first class that matches.
STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ParseException: HTTPStatus.BAD_REQUEST,
    RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
}
# Subclasses of `ParseException` for which the client is not to blame.
OWN_FAULTS = (errors.ConfigurationProblem, errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)

REFUSED = Counter(
    "http_requests_refused_total",
    "Requests answered before they reached the app: slow, malformed or too many",
    ["status"],
)


def _respond(app: Any, environ: dict[str, Any], start_response: Any) -> Any:
    """Run the app. If the rest of the body cannot be discarded, the response announces the end of the connection."""
    response = app(environ, start_response)
    if not discard_rest(environ):
        start_response.__self__.force_close()
    return response


class BoundedThreadWorker(ThreadWorker):
    """A threaded worker; gunicorn.conf.py sets the class attributes from the settings."""

    queue_seconds = 1.0
    receive_seconds = 20.0
    wsgi: Any

    def init_process(self) -> None:
        """Create the threads and queues, and serve."""
        self._health_threads = ThreadPoolExecutor(HEALTH_THREADS)
        self._probe_threads = ThreadPoolExecutor(PROBE_THREADS)
        self._queue: deque[tuple[float, Future[Any], Connection]] = deque()
        self._lingering: deque[Connection] = deque()
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the app."""
        super().load_wsgi()
        self.wsgi = partial(_respond, self.wsgi)

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        conn = Connection(self.cfg, client, address, listener.getsockname())
        conn.worker, conn.data_ready = self, True
        self._receive(conn)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Receive the next request of a kept connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._receive(conn)

    def _receive(self, conn: Connection) -> None:
        """Give a connection to a thread, or wait for the missing part of its request."""
        try:
            size = conn.awaited = conn.missing_bytes()
            if size:
                conn.wait_for(size)
        except HeadersTooLarge:
            self._refuse(conn, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, TOO_LARGE)
            return
        except OSError:
            self._drop(conn)
            return
        if not size:
            self.enqueue_req(conn)
            return
        conn.timeout = time.monotonic() + self.receive_seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Give the connection to a thread, unless a part of the headers is still missing."""
        try:
            size = 0 if conn.awaits_body else conn.missing_bytes()
            if size and size == conn.awaited:  # readable without another byte: the client sends no more
                raise ConnectionResetError
            conn.awaited = size
            conn.wait_for(size or 1)
            if size:
                return
            proceed: Callable[[Connection], None] = self.enqueue_req
        except HeadersTooLarge:
            proceed = partial(self._refuse, status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail=TOO_LARGE)
        except OSError:
            proceed = self._drop
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        proceed(conn)

    def enqueue_req(self, conn: Connection) -> None:
        """Queue a request for a thread."""
        conn.awaits_body = conn.has_begun = False
        threads = self._probe_threads if conn.is_probe else self.tpool
        future = (self._health_threads if conn.is_liveness else threads).submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))
        self._queue.append((time.monotonic() + self.queue_seconds, future, conn))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Look at the queue more often than Gunicorn does."""
        super().wait_for_and_dispatch_events(min(timeout, CHECK_SECONDS) if self._queue else timeout)

    def murder_pending(self) -> None:
        """End what has waited for too long; Gunicorn calls this in every turn of its loop."""
        now = time.monotonic()
        while self.pending_conns and self.pending_conns[0].timeout <= now:
            self._refuse_slow(self.pending_conns.popleft())
        while self._lingering and self._lingering[0].timeout <= now:
            self._close_lingering(self._lingering[0])
        while self._queue and (self._queue[0][1].done() or self._queue[0][0] <= now):
            self._refuse_queued(*self._queue.popleft()[1:])

    def _cap_keepalive(self, deadline: float) -> None:
        """At shutdown, wait until `deadline` at most for requests that have not arrived."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _refuse_slow(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        if conn.has_begun:
            self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW)
        else:
            self._drop(conn)

    def _refuse(self, conn: Connection, status: HTTPStatus, detail: str) -> None:
        REFUSED.labels(status.value).inc()
        conn.send(refusal(status, detail, {}))
        self.nr_conns -= 1
        self.linger(conn)

    def _refuse_queued(self, future: Future[Any], conn: Connection) -> None:
        """Answer a request that no thread has begun; `finish_request` then closes its connection."""
        if future.cancel():
            REFUSED.labels(HTTPStatus.SERVICE_UNAVAILABLE.value).inc()
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            conn.send(refusal(HTTPStatus.SERVICE_UNAVAILABLE, NO_THREAD, headers))

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Serve a request; Gunicorn would log a client that does not read its response as an error of the service."""
        try:
            return bool(super().handle_request(req, conn))
        except BlockingIOError:
            self.log.info("closing a connection: the client does not read the response")
            return False

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that Gunicorn rejects; its text, in the exception, may be personal."""
        status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), None)
        if status is None or isinstance(exc, OWN_FAULTS):
            if req is not None:
                req.uri = req.path  # Gunicorn logs it
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("rejected a malformed request: %s", type(exc).__name__)
        REFUSED.labels(status.value).inc()
        with suppress(OSError):
            client.sendall(refusal(status, MALFORMED, {}))

    def _drop(self, conn: Connection) -> None:
        self.nr_conns -= 1
        util.close(conn.sock)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Whether another request may follow: not if more than the request had arrived before the response."""
        return keepalive and not conn.parser.unreader.buf.getvalue()

    def linger(self, conn: Connection) -> None:
        """Close a connection after the client has read the response (RFC 9112, section 9.6).

        Gunicorn waits for that in its main thread, where a client that stays connected stops the whole process.
        """
        try:
            conn.wait_for(1)
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            util.close(conn.sock)
            return
        if len(self._lingering) >= MAX_LINGERING:
            util.close(conn.sock)
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._lingering.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._discard, conn))

    def _discard(self, conn: Connection, client: socket.socket) -> None:
        """Discard what the client sends after the response; close the connection when the client has closed it."""
        try:
            data = client.recv(DISCARD_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        conn.discarded += len(data)
        if not data or conn.discarded > LINGER_BYTES:
            self._close_lingering(conn)

    def _close_lingering(self, conn: Connection) -> None:
        self._lingering.remove(conn)
        self.poller.unregister(conn.sock)
        util.close(conn.sock)
