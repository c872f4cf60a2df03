"""Accepts connections with TLS, or on IPv6, and passes them on to a server that does neither.

The Redis and the PostgreSQL of the wheels are built without TLS.
"""

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_SSL_REQUEST_BYTES = 8  # of PostgreSQL's protocol, before TLS


class TlsRelay:
    """Listens on a free port of `host`; without a certificate, connections are not encrypted.

    `postgresql`: a connection begins with PostgreSQL's request for TLS.
    """

    def __init__(
        self, target_port: int, *, host: str = "127.0.0.1", certificate: Path | None = None, postgresql: bool = False
    ) -> None:
        self._target_port, self._postgresql = target_port, postgresql
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for connection in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(client.close)
            if self._postgresql:
                client.recv(_SSL_REQUEST_BYTES, socket.MSG_WAITALL)
                client.sendall(b"S")
            if self._context:
                client = self._context.wrap_socket(client, server_side=True)
                self._open.add(client)
            target = stack.enter_context(socket.create_connection(("127.0.0.1", self._target_port)))
            self._open.add(target)
            threading.Thread(target=_copy, args=(target, client), daemon=True).start()
            _copy(client, target)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source ends, then end the target."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
