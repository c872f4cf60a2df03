"""The socket of a client: what has arrived is read at once, and neither side may wait for ever."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from functools import partial
from typing import cast

import pytest
from gunicorn.config import Config
from werkzeug.exceptions import RequestTimeout

from app.platform.web import connection
from app.platform.web.connection import Connection, RequestSocket
from app.platform.web.gunicorn_worker import BoundedThreadWorker

pytestmark = [pytest.mark.fault("F31"), pytest.mark.req("S13")]
ADDRESS = ("127.0.0.1", 1)


class Worker:
    """What a connection needs from its worker."""

    receive_seconds = 300.0

    def linger(self, conn: Connection) -> None:
        """Nothing to do."""


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The socket of the server and that of the client."""
    server, client = socket.socketpair()
    with server, client:
        yield server, client


def test_part_of_a_request_is_read_without_waiting(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    receiver = RequestSocket(server, 300)
    receiver.start_request()
    client.sendall(b"abc")

    assert receiver.recv(8192) == b"abc"


def test_request_that_does_not_arrive_in_time_is_rejected(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, _client = sockets
    receiver = RequestSocket(server, 0.05)
    receiver.start_request()

    with pytest.raises(RequestTimeout):
        receiver.recv(8192)

    assert server.gettimeout() is None  # the response may take longer


def test_timeout_of_gunicorn_is_raised_as_such(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, _client = sockets
    receiver = RequestSocket(server, 300)
    receiver.start_request()
    receiver.settimeout(0.05)

    with pytest.raises(TimeoutError):
        receiver.recv(8192)


def test_every_received_part_extends_the_time(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    receiver = RequestSocket(server, 0)
    receiver.start_request()
    client.sendall(b"x" * 50_000)
    start, received = receiver._deadline, 0
    while received < 50_000:
        received += len(receiver.recv(8192))

    assert receiver._deadline - start == pytest.approx(1)  # at 50,000 bytes per second


keepalive_after = partial(BoundedThreadWorker._keepalive_after, cast("BoundedThreadWorker", None))  # uses no attribute


def begin_request(client: socket.socket, server: socket.socket, request: bytes) -> Connection:
    """Return the connection of a request that Gunicorn has parsed."""
    conn = Connection(Config(), server, ADDRESS, ADDRESS)
    conn.worker = Worker()
    conn.sock.setblocking(True)  # as Gunicorn does before
    conn.init()
    client.sendall(request)
    next(conn.parser)
    return conn


def test_connection_is_kept_after_a_pause_of_the_thread(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = sockets
    conn = begin_request(client, server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    clock = iter((0.0, 0.5))  # between the look at the clock and the next one
    monkeypatch.setattr(time, "monotonic", lambda: next(clock, 0.5))

    assert keepalive_after(conn, True)


def test_connection_is_closed_if_the_rest_of_a_body_does_not_arrive(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    server, client = sockets
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"

    complete = begin_request(client, server, request.ljust(100_000 + len(request)))
    assert keepalive_after(complete, True)

    incomplete = begin_request(client, server, request + b"123")
    assert not keepalive_after(incomplete, True)


def test_client_that_reads_nothing_is_given_up(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SEND_TIMEOUT", struct.pack("ll", 0, 50_000))
    server, client = sockets
    conn = begin_request(client, server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")

    with pytest.raises(BlockingIOError):
        conn.sock.sendall(b"x" * 50_000_000)
