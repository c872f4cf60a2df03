"""What callers send does not come back as a header of its own, and does not stand in for another."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flask import Flask

from app import create_app
from tests.attacks.conftest import Attacker

BREAKS = ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\x00b", "a\u2028X-Evil: 1", "a%0d%0aX-Evil: 1"]
SENT = {
    "what is told": ["X-Request-ID", "Origin", "X-Forwarded-For", "Accept", "User-Agent", "Range", "If-None-Match"],
    "a proof": ["X-API-Key"],
    "another proof": ["Authorization"],
    "a host": ["Host"],
}
EVIL = "evil.example.net"


@pytest.mark.parametrize("names", SENT.values(), ids=SENT)
@pytest.mark.req("S10")
def test_a_broken_line_in_a_header_is_not_sent_back(attacker: Attacker, names: list[str]) -> None:
    for route in attacker.routes():
        for value in BREAKS:
            raw = {f"HTTP_{name.upper().replace('-', '_')}": value for name in names}
            answer = attacker.open(route, environ_overrides=raw)

            assert answer.status_code < 500, (route, value)
            assert "X-Evil" not in answer.headers, (route, value)
            assert not [text for _, text in answer.headers if set("\r\n\x00") & set(text)], (route, value)


@pytest.mark.req("S10")
def test_a_broken_line_in_an_origin_is_not_allowed_in(app: Flask, environment: Mapping[str, str]) -> None:
    made = create_app({**environment, "CORS_ORIGINS": "https://app.example.org"})
    app.extensions["celery"].set_current()

    for value in ("https://app.example.org\r\nX-Evil: 1", "https://app.example.org.evil.example.net", "null"):
        answer = made.test_client().get("/api/v1/openapi.json", environ_overrides={"HTTP_ORIGIN": value})

        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "X-Evil" not in answer.headers


@pytest.mark.req("S10")
def test_no_answer_repeats_the_host_that_a_caller_made_up(attacker: Attacker) -> None:
    made_up = {"Host": EVIL, "X-Forwarded-Host": EVIL, "Forwarded": f"host={EVIL}", "X-Original-URL": f"//{EVIL}/"}

    for route in attacker.routes():
        body = {"json": attacker.sample(route)} if "json" in route.schemas else {}
        answer = attacker.open(route, headers=made_up, **body)

        assert EVIL not in answer.text, route
        assert EVIL not in str(answer.headers), route


@pytest.mark.req("S10")
def test_a_header_that_names_another_method_changes_nothing(attacker: Attacker) -> None:
    names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    for route in attacker.routes():
        if route.method != "GET":
            continue
        before = attacker.rows()["users"]

        answers = [attacker.open(route, headers={name: "DELETE"}) for name in names]
        plain = attacker.open(route)

        assert {answer.status_code for answer in answers} == {plain.status_code}, route
        assert {row[0] for row in before} <= {row[0] for row in attacker.rows()["users"]}, route
