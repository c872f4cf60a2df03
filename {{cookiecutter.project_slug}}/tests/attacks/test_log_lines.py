"""Whatever callers send, a line of the log stays one JSON object, and says what the service says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from urllib.parse import quote

import pytest
from flask import Flask

from app.observability.logging import Formatter
from tests.attacks.conftest import Attacker, planted

FORGED = '{"level": "CRITICAL", "logger": "forged", "message": "forged"}'
TEXTS = [
    f"\n{FORGED}\n",
    f"\r\n{FORGED}",
    'x", "level": "CRITICAL", "logger": "forged',
    "\x1b[2J\x9b31m",
    f"\u2028{FORGED}",
]
HEADERS = ["X-Request-ID", "User-Agent", "Referer", "Authorization", "X-API-Key", "Content-Type", "Host", "Origin"]


@pytest.fixture
def log(attacked: Flask) -> Iterator[StringIO]:
    """What the service's own handler would write while a test runs."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("service-under-test", ()))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def assert_genuine(log: StringIO, requests: int) -> None:
    written = log.getvalue()
    lines = [json.loads(line) for line in written.splitlines()]
    assert sum(line["logger"] == "app.access" for line in lines) == requests
    assert not [line for line in lines if line["level"] == "CRITICAL" or line["logger"] == "forged"]
    assert not {"\x1b", "\x9b", "\r", "\u2028"} & set(written)


@pytest.mark.req("S12")
def test_in_paths_and_queries(attacker: Attacker, log: StringIO) -> None:
    requests = 0
    for route in attacker.routes():
        proof = attacker.proof(route)
        for text in TEXTS:
            attacker.open(route, quote(text, safe=""), query_string={"x": text, text: "x"}, proof=proof)
            requests += 1

    assert_genuine(log, requests)


@pytest.mark.req("S12")
def test_in_bodies(attacker: Attacker, log: StringIO) -> None:
    requests = 0
    for route in attacker.routes("json"):
        for text in TEXTS:
            for body in planted(attacker.sample(route), text):
                attacker.open(route, json=body)
                requests += 1

    assert requests > 50
    assert_genuine(log, requests)


@pytest.mark.req("S12")
def test_in_headers(attacker: Attacker, log: StringIO) -> None:
    requests = 0
    for route in attacker.routes():
        for text in TEXTS:
            raw = {f"HTTP_{name.upper().replace('-', '_')}": text for name in HEADERS}
            attacker.open(route, environ_overrides=raw)
            requests += 1

    assert_genuine(log, requests)
