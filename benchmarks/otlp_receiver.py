"""An OTLP receiver that accepts every batch of traces and discards it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class DiscardingHandler(BaseHTTPRequestHandler):
    """Reads and discards each batch."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Accept a batch: an empty response is a full success (OTLP 1.x, section OTLP/HTTP response)."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no access log."""


@contextmanager
def otlp_receiver() -> Iterator[str]:
    """Run the receiver on a free port; yields its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), DiscardingHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
