"""A finished request leaves no memory that only the garbage collector can free: it may run much later."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from io import BytesIO

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.attacks.conftest import Attacker
from tests.routes import Route

pytestmark = [pytest.mark.req("S13")]

JSON_BODIES = {
    "empty": b"",
    "no JSON": b"x",
    "not UTF-8": b"\xff",
    "nested too deeply": b"[" * 100_000,
    "no object": b"[1]",
    "missing members": b"{}",
    "unknown members": b'{"a": {}}',
    "duplicate members": b'{"a": 1, "a": 2}',
    "too many members": b"{" + b",".join(b'"%d":1' % number for number in range(1100)) + b"}",
    "too many values": b"[" + b"1," * 500_000 + b"1]",
    "too large": b" " * 2_000_000,
}
BOUNDARY = b"--b\r\n"
FILE = BOUNDARY + b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
END = b"\r\n--b--\r\n"
FORMS = {
    "a file": FILE + b"a,b\n1,2\n" + END,
    "an empty file": FILE + END,
    "no CSV": FILE + b"\x00\x01" + END,
    "incomplete": FILE + b"a,b\n",
    "another field": FILE.replace(b'"file"', b'"other"') + b"a,b\n" + END,
    "no parts": b"x",
    "many fields": b"".join(BOUNDARY + b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n' for _ in range(2000))
    + END,
    "too large": FILE + b"1,2\n" * 15_000_000 + END,
}


class Body(BytesIO):
    """A request body that can be referred to weakly."""


@pytest.fixture
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def is_body_freed(attacker: Attacker, route: Route, body: bytes, content_type: str) -> bool:
    """Send a body; return whether nothing refers to it after the response."""
    stream = Body(body)
    reference = weakref.ref(stream)
    builder = EnvironBuilder(
        route.path(1), method=route.method, headers=Headers(attacker.credentials(route)), content_type=content_type
    )
    environ = {**builder.get_environ(), "wsgi.input": stream, "CONTENT_LENGTH": str(len(body))}
    builder.close()
    response, status, _ = run_wsgi_app(attacker.app, environ, buffered=True)
    assert status[:3] != "500"
    del stream, environ, response
    return reference() is None


def routes_that_keep(attacker: Attacker, location: str, body: bytes, content_type: str) -> list[str]:
    """Return the routes with input in `location` that keep this body after the response."""
    routes = attacker.routes(location)
    return [str(route) for route in routes if not is_body_freed(attacker, route, body, content_type)]


@pytest.mark.usefixtures("_without_garbage_collection")
@pytest.mark.parametrize("kind", JSON_BODIES)
def test_rejected_json_is_freed(attacker: Attacker, kind: str) -> None:
    assert routes_that_keep(attacker, "json", JSON_BODIES[kind], "application/json") == []


@pytest.mark.usefixtures("_without_garbage_collection")
@pytest.mark.parametrize("kind", FORMS)
def test_rejected_form_is_freed(attacker: Attacker, kind: str) -> None:
    assert routes_that_keep(attacker, "files", FORMS[kind], "multipart/form-data; boundary=b") == []
