"""Request data cannot forge log lines: every line is one JSON object of the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from urllib.parse import quote

import pytest
from flask import Flask

from tests.attacks.conftest import Attacker, bodies_with
from tests.log_capture import captured_log

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
def log(app_without_limits: Flask) -> Iterator[StringIO]:
    """The log output of the service during a test."""
    with captured_log() as log:
        yield log


def assert_genuine(log: StringIO, requests: int) -> None:
    written = log.getvalue()
    lines = [json.loads(line) for line in written.splitlines()]
    assert sum(line["logger"] == "app.access" for line in lines) == requests
    assert not [line for line in lines if line["level"] == "CRITICAL" or line["logger"] == "forged"]
    assert not {"\x1b", "\x9b", "\r", "\u2028"} & set(written)


@pytest.mark.req("S12")
def test_paths_and_queries_cannot_forge_log_lines(attacker: Attacker, log: StringIO) -> None:
    requests = 0
    for route in attacker.routes():
        credentials = attacker.credentials(route)
        for text in TEXTS:
            attacker.open(route, quote(text, safe=""), query_string={"x": text, text: "x"}, credentials=credentials)
            requests += 1

    assert_genuine(log, requests)


@pytest.mark.req("S12")
def test_bodies_cannot_forge_log_lines(attacker: Attacker, log: StringIO) -> None:
    requests = 0
    for route in attacker.routes("json"):
        for text in TEXTS:
            for body in bodies_with(attacker.example_body(route), text):
                attacker.open(route, json=body)
                requests += 1

    assert requests > 50
    assert_genuine(log, requests)


@pytest.mark.req("S12")
def test_headers_cannot_forge_log_lines(attacker: Attacker, log: StringIO) -> None:
    requests = 0
    for route in attacker.routes():
        for text in TEXTS:
            raw = {f"HTTP_{name.upper().replace('-', '_')}": text for name in HEADERS}
            attacker.open(route, environ_overrides=raw)
            requests += 1

    assert_genuine(log, requests)
