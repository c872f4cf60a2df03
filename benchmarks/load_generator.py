"""A closed-loop load generator over keep-alive connections: a connection sends its next request after each response.

It uses one thread, one epoll object and prepared requests, to take little CPU time from the servers.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle

TIMEOUT_SECONDS = 30.0  # without any response
MAX_RESENT = 100
CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class RequestFailedError(Exception):
    """A server rejected a request or did not respond; the text holds the response."""


@dataclass
class LoadResult:
    """Result of generating load; times are in seconds."""

    seconds: float = 0.0
    generator_cpu: float = 0.0
    resent: int = 0  # requests on connections that the server had closed
    latencies: list[float] = field(default_factory=list)


class Connection:
    """A connection with one request in flight."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)  # sendall does not block on a batch

    def send(self, request: bytes) -> None:
        """Send the next request."""
        self.request, self.response, self.sent_at = request, b"", time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Read available data and return whether the response is complete.

        Raises ConnectionError if the server closed the connection, RequestFailedError if the status is not 2xx.
        """
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionResetError
        self.response += data
        end = self.response.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = CONTENT_LENGTH.search(self.response, 0, end + 2)
        complete = length is None or len(self.response) >= end + 4 + int(length[1])
        if complete and (length is None or self.response[9:10] != b"2"):
            raise RequestFailedError(self.response[:2000].decode(errors="replace"))
        return complete


class ConnectionPool:
    """All connections to a server, and the result so far."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        """Create a pool without connections."""
        self.port, self.requests = port, cycle(requests)
        self.result, self.epoll = LoadResult(), select.epoll()
        self.connections: dict[int, Connection] = {}

    def connect(self, request: bytes | None = None) -> None:
        """Send `request`, or the next one, on a new connection."""
        connection = Connection(self.port)
        self.connections[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket.fileno(), select.EPOLLIN)
        connection.send(request or next(self.requests))

    def disconnect(self, descriptor: int) -> bytes:
        """Close a connection and return its last request."""
        connection = self.connections.pop(descriptor)
        connection.socket.close()
        return connection.request

    def close(self) -> None:
        """Close all connections."""
        for descriptor in list(self.connections):
            self.disconnect(descriptor)
        self.epoll.close()

    def handle_readable(self, descriptor: int, end: float) -> None:
        """Read from a connection; after a complete response send the next request, or disconnect after `end`."""
        connection = self.connections[descriptor]
        try:
            if not connection.receive():
                return
            now = time.perf_counter()
            self.result.latencies.append(now - connection.sent_at)
            if now < end:
                connection.send(next(self.requests))
            else:
                self.disconnect(descriptor)
        except ConnectionError:
            self.result.resent += 1
            self.connect(self.disconnect(descriptor))

    def poll(self, end: float) -> None:
        """Wait for data and handle it; raises RequestFailedError after 30 s without data or 100 resent requests."""
        events = self.epoll.poll(TIMEOUT_SECONDS)
        if not events or self.result.resent > MAX_RESENT:
            message = f"Port {self.port} does not respond, or closes every connection."
            raise RequestFailedError(message)
        for descriptor, _ in events:
            self.handle_readable(descriptor, end)


def generate_load(port: int, requests: Sequence[bytes], seconds: float, connections: int) -> LoadResult:
    """Send `requests` in turn for `seconds` and wait for the last responses; raises RequestFailedError."""
    cpu, start, opened = time.process_time(), time.perf_counter(), 0
    with closing(ConnectionPool(port, requests)) as pool:
        while pool.connections or not opened:
            # Open one connection at a time: one process of the server could accept all of a burst.
            if opened < connections:
                pool.connect()
                opened += 1
            pool.poll(start + seconds)
    pool.result.seconds, pool.result.generator_cpu = time.perf_counter() - start, time.process_time() - cpu
    return pool.result
