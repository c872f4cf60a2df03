"""Bodies that end early, or whose chunks are malformed, are a client error on every route."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import pytest

from tests.running.accounts import log_in
from tests.running.conftest import StartWeb, Web

pytestmark = pytest.mark.running

CHUNKS = {
    "size": b"ZZ\r\n",
    "negative size": b"-1\r\nab\r\n0\r\n\r\n",
    "huge size": b"fffffffffffffffff\r\nab\r\n",
    "no line end": b"2\r\nabX\r\n0\r\n\r\n",
    "early end": b"5\r\nab",
    "early end of a size": b"5",
    "no last chunk": b"2\r\n{}\r\n",
    "extension": b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    "trailer": b"2\r\n{}\r\n0\r\na b\r\n\r\n",
}
ROUTES = [
    ("POST", "/api/v1/auth/refresh", "application/json"),
    ("POST", "/api/v1/auth/login", "application/json"),
    ("PATCH", "/api/v1/users/me", "application/json"),
    ("POST", "/api/v1/locations/batch", "application/json"),
    ("POST", "/api/v1/data-files", "multipart/form-data; boundary=x"),
    ("GET", "/api/v1/users/me", "application/json"),
    ("DELETE", "/api/v1/data-files/1", "application/json"),
    ("POST", "/health", "application/json"),
]


def send(web: Web, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
    """Send a request, then end the sending side; returns the status of the response."""
    address = urlsplit(web.url)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address.netloc}", "Transfer-Encoding: chunked", "Connection: close"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""])
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    match = re.match(rb"HTTP/1\.1 (\d{3})", received)
    return int(match[1]) if match else 0


@pytest.mark.fault("F28")
@pytest.mark.req("S11", "A6")
def test_malformed_chunks_are_a_client_error(start_web: StartWeb) -> None:
    web = start_web(RATELIMIT_ENABLED="false")
    user = log_in(web)

    statuses = {
        (method, path, name): send(web, method, path, {**user, "Content-Type": media_type}, body)
        for method, path, media_type in ROUTES
        for name, body in CHUNKS.items()
    }

    assert {call: status for call, status in statuses.items() if status >= 500} == {}
    assert statuses["POST", "/api/v1/auth/refresh", "size"] == 400
    assert statuses["POST", "/api/v1/data-files", "size"] == 400
    assert statuses["POST", "/api/v1/data-files", "early end"] == 400
