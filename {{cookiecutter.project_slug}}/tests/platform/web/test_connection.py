"""The socket of a client: data that has arrived is read at once, and every wait has a time limit."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData
from werkzeug.exceptions import RequestTimeout

from app.platform.web import connection
from app.platform.web.connection import Connection, RequestSocket, discard_rest

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


def test_end_of_the_stream_within_a_request_is_an_error(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    receiver = RequestSocket(server, 300)
    receiver.start_request()
    client.shutdown(socket.SHUT_WR)

    with pytest.raises(NoMoreData):
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


def begin_request(client: socket.socket, server: socket.socket, request: bytes) -> Connection:
    """Return the connection of a request that Gunicorn has parsed."""
    conn = Connection(Config(), server, ADDRESS, ADDRESS)
    conn.worker = Worker()
    conn.sock.setblocking(True)  # as Gunicorn does before
    conn.init()
    client.sendall(request)
    next(conn.parser)
    return conn


CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n"
# The method, the headers with the body, how much of it the app reads, and whether another request may follow.
BODIES = {
    "no body": ("GET", b"\r\n", 0, True),
    "unread": ("POST", LENGTH % 100_000 + b"x" * 100_000, 0, True),
    "read in part": ("POST", LENGTH % 100_000 + b"x" * 100_000, 10, True),
    "read": ("POST", LENGTH % 4 + b"abcd", -1, True),
    "larger than what is awaited": ("POST", LENGTH % 2_000_000 + b"abcd", 0, False),
    "larger, most of it read": ("POST", LENGTH % 1_100_000 + b"x" * 150_000, 140_000, False),
    "not awaited": ("GET", LENGTH % 4, 0, False),
    "chunks read": ("POST", CHUNKS, -1, True),
    "chunks unread": ("POST", CHUNKS, 0, False),
}


def environ_of(conn: Connection) -> dict[str, object]:
    """Return the part of the WSGI environment that the connection reads."""
    request = conn.parser.mesg
    length = dict(request.headers).get("CONTENT-LENGTH", "")
    return {"REQUEST_METHOD": request.method, "CONTENT_LENGTH": length, "wsgi.input": request.body}


@pytest.mark.parametrize("name", BODIES)
def test_connection_is_kept_if_the_whole_body_has_arrived(
    sockets: tuple[socket.socket, socket.socket], name: str
) -> None:
    server, client = sockets
    method, rest, size, kept = BODIES[name]
    conn = begin_request(client, server, f"{method} / HTTP/1.1\r\nHost: localhost\r\n".encode() + rest)
    conn.parser.mesg.body.read(size)

    assert discard_rest(environ_of(conn)) is kept


def test_body_that_ends_early_ends_the_connection(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    conn = begin_request(client, server, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc")
    client.shutdown(socket.SHUT_WR)

    assert not discard_rest(environ_of(conn))


def test_client_that_reads_nothing_is_given_up(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SEND_TIMEOUT", struct.pack("ll", 0, 50_000))
    server, client = sockets
    conn = begin_request(client, server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")

    with pytest.raises(BlockingIOError):
        conn.sock.sendall(b"x" * 50_000_000)
