"""Errors reach Sentry, received here by a local server, and what must not leave does not."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sentry_sdk

from app import create_app
from app.limits import unlimited
from app.security.access import public
from tests.accounts.factory import PASSWORD
from tests.environments import basic_environment


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[str]]]:
    """The address of a receiver, and what it received."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(gzip.decompress(body).decode() if body[:2] == b"\x1f\x8b" else body.decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://public@127.0.0.1:{server.server_port}/1", received
    sentry_sdk.init()  # back to nobody
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_unhandled_error_is_reported_without_secrets(sentry: tuple[str, list[str]], secret: str) -> None:
    dsn, received = sentry
    app = create_app(basic_environment(SENTRY_DSN=dsn, ADMIN_PASSWORD=secret))

    @app.post("/fails")
    @public("of this test")
    @unlimited("of this test")
    def fails() -> str:
        raise RuntimeError(f"a bug near {secret} of ann@example.org")

    answer = app.test_client().post("/fails", json={"password": PASSWORD}, headers={"Authorization": "Bearer abc.def"})
    sentry_sdk.flush(5)

    assert answer.status_code == 500
    assert received
    (report,) = [text for text in received if "RuntimeError" in text]
    assert "a bug near *** of ***" in report
    for hidden in (secret, "ann@example.org", PASSWORD, "abc.def"):
        assert hidden not in report
