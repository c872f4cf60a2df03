"""A client connection of Gunicorn whose request must arrive in a bounded time, and responses to requests not read."""

from __future__ import annotations

import json
import random
import re
import socket
import struct
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from gunicorn import util
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import TConn
from werkzeug.exceptions import RequestTimeout

from app.platform.web.headers import SECURITY_HEADERS
from app.platform.web.problem_types import OVERLOADED, default_uri
from app.platform.web.problems import MIME_TYPE

PEEK_BYTES = 8192  # enough for the headers of most requests; a larger buffer costs each of them more
HEADER_BYTES = 64 * 1024  # of all headers together; proxies allow 32 kB
SEND_SECONDS = 120  # in which a part of a response must be sent; a full buffer of the kernel empties only in parts
SEND_TIMEOUT = struct.pack("ll", SEND_SECONDS, 0)  # seconds and microseconds
DISCARD_BYTES = 64 * 1024  # at a time
BUFFERED_BYTES = 1024 * 1024  # of a body in the kernel; Linux allows half of tcp_rmem's maximum, by default 3 MB
BYTES_PER_SECOND = 50_000
LIVENESS = b"GET /health "
PROBES = (LIVENESS, b"GET /ready ", b"GET /metrics ")
METHODS_WITHOUT_BODY = ("GET", "HEAD")
WITHOUT_BODY = tuple(f"{method} ".encode() for method in METHODS_WITHOUT_BODY)
HEADERS_END = b"\r\n\r\n"
BODY_FIELD = re.compile(rb"\r\n(?:content-length:[ \t]*(\d{1,18})|transfer-encoding:)", re.IGNORECASE)
EXPECT_FIELD = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HeadersTooLarge(Exception):
    """The headers of a request have more than `HEADER_BYTES`."""


class Worker(Protocol):
    """What a connection needs from its worker."""

    receive_seconds: float

    def linger(self, conn: Connection) -> None:
        """Close a connection after the client has read the response."""


class RequestSocket:
    """The receiving side of a connection; raises `RequestTimeout` if a request arrives too slowly."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._socket, self._seconds = sock, seconds
        self._deadline = 0.0

    def start_request(self) -> None:
        """Start the time of a request."""
        self._deadline = time.monotonic() + self._seconds

    def recv(self, size: int) -> bytes:
        """Receive up to `size` bytes, which usually have arrived; raises `NoMoreData` if the client sends no more."""
        try:
            data = self._socket.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            data = self._wait_and_receive(size)
        if not data:
            raise NoMoreData
        self._deadline += len(data) / BYTES_PER_SECOND
        return data

    def _wait_and_receive(self, size: int) -> bytes:
        remaining = max(0.001, self._deadline - time.monotonic())
        try:
            self._socket.settimeout(remaining)
            return self._socket.recv(size)
        except TimeoutError:
            raise RequestTimeout("The request did not arrive in time.") from None
        finally:
            self._socket.settimeout(None)


class Connection(TConn):
    """A connection of `BoundedThreadWorker`."""

    worker: Worker
    is_probe = is_liveness = False
    has_begun = False  # a part of the request has arrived
    awaits_body = False  # the headers have arrived
    awaited = 0  # the length of the request as far as it is known
    discarded = 0  # bytes received after the response

    def init(self) -> None:
        """Prepare for a thread to read a request."""
        is_new = not self.initialized
        super().init()
        if is_new:
            # In the kernel: a timeout of Python costs each request several system calls.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT)
            self.parser.unreader.sock = RequestSocket(self.sock, self.worker.receive_seconds)
        self.parser.unreader.sock.start_request()

    def missing_bytes(self) -> int:
        """Return the length of the request if a part of it is missing; 0 if a thread can read it without waiting.

        While the headers are incomplete, returns one byte more than has arrived. Raises `HeadersTooLarge`, or `OSError`
        if the client has closed the connection.
        """
        try:
            head = self.sock.recv(PEEK_BYTES, socket.MSG_PEEK)
            if len(head) == PEEK_BYTES:
                head = self.sock.recv(HEADER_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return 1
        if not head:
            raise ConnectionResetError
        self.has_begun = True
        end = head.find(HEADERS_END) + len(HEADERS_END)
        if end < len(HEADERS_END):
            if len(head) == HEADER_BYTES:
                raise HeadersTooLarge
            return len(head) + 1
        self.is_probe = head.startswith(PROBES)
        needs_search = self.is_probe or not head.startswith(WITHOUT_BODY)  # a search takes 3 µs
        lengths = BODY_FIELD.findall(head, 0, end) if needs_search else []
        self.is_probe = self.is_probe and not lengths
        self.is_liveness = self.is_probe and head.startswith(LIVENESS)
        length = int(lengths[0] or 0) if len(lengths) == 1 else 0  # Gunicorn rejects a second one
        self.awaits_body = len(head) < end + length and length <= BUFFERED_BYTES
        if self.awaits_body and EXPECT_FIELD.search(head, 0, end):
            self.send(CONTINUE)  # Gunicorn sends it only when a thread has the request
        return end + length if self.awaits_body else 0

    def wait_for(self, size: int) -> None:
        """Become readable once `size` bytes have arrived or the client has closed the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def send(self, response: bytes) -> None:
        """Send a short response without waiting."""
        try:
            self.sock.send(response)
        except OSError:
            return  # the client has gone, or reads nothing

    def close(self, graceful: bool = False) -> None:
        """Close; if gracefully, after the client has had time to read the response."""
        if graceful:
            self.worker.linger(self)
        else:
            util.close(self.sock)


def discard_rest(environ: Mapping[str, Any]) -> bool:
    """Discard what the app did not read of a body that has arrived; return False if it may not have."""
    body: Body = environ["wsgi.input"]
    reader = body.reader
    if body.failed or not isinstance(reader, LengthReader):
        return not body.failed and reader.parser is None  # all chunks were read
    if not reader.length:
        return True
    if environ["REQUEST_METHOD"] in METHODS_WITHOUT_BODY or int(environ["CONTENT_LENGTH"]) > BUFFERED_BYTES:
        return False  # `missing_bytes` did not wait for it
    try:
        while reader.length:
            body.read(DISCARD_BYTES)
    except NoMoreData:
        return False
    return True


def refusal(status: HTTPStatus, detail: str, headers: dict[str, str]) -> bytes:
    """Return the response to a request that was not read: a problem document (RFC 9457)."""
    request_id = f"{random.getrandbits(128):032x}"
    type_uri = OVERLOADED.uri if status == OVERLOADED.status else default_uri(status)
    document = {"type": type_uri, "title": status.phrase, "status": status, "detail": detail, "instance": ""}
    body = f"{json.dumps({**document, 'message': detail, 'request_id': request_id})}\n".encode()
    fields = SECURITY_HEADERS | headers | {"Content-Type": MIME_TYPE, "Content-Length": str(len(body))}
    fields |= {"Connection": "close", "X-Request-ID": request_id}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + HEADERS_END + body
