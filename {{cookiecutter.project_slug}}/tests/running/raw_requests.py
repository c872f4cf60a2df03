"""Requests of clients that send slowly, or only a part."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tests.running.conftest import Web


def open_connection(web: Web) -> socket.socket:
    """Connect and send nothing."""
    parts = urlsplit(web.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=120)


def begin_request(web: Web, path: str, *headers: str, body: bytes = b"", method: str = "POST") -> socket.socket:
    """Send the headers of a request, and a part of its body."""
    client = open_connection(web)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(web.url).netloc}", *headers, "", ""]
    client.sendall("\r\n".join(lines).encode() + body)
    return client


def read_response(client: socket.socket) -> str:
    """Return everything that the server sends until it closes the connection."""
    received = b""
    while data := client.recv(65_536):
        received += data
    return received.decode()
