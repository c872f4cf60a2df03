"""Request headers cannot inject response headers, a host or another method."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flask import Flask

from app import create_app
from tests.attacks.conftest import Attacker

LINE_BREAKS = ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\x00b", "a\u2028X-Evil: 1", "a%0d%0aX-Evil: 1"]
HEADERS = {
    "informative": ["X-Request-ID", "Origin", "X-Forwarded-For", "Accept", "User-Agent", "Range", "If-None-Match"],
    "API key": ["X-API-Key"],
    "access token": ["Authorization"],
    "host": ["Host"],
}
EVIL = "evil.example.net"


@pytest.mark.parametrize("names", HEADERS.values(), ids=HEADERS)
@pytest.mark.req("S10")
def test_line_break_in_a_header_is_not_returned(attacker: Attacker, names: list[str]) -> None:
    for route in attacker.routes():
        for value in LINE_BREAKS:
            raw = {f"HTTP_{name.upper().replace('-', '_')}": value for name in names}
            response = attacker.open(route, environ_overrides=raw)

            assert response.status_code < 500, (route, value)
            assert "X-Evil" not in response.headers, (route, value)
            assert not [text for _, text in response.headers if set("\r\n\x00") & set(text)], (route, value)


@pytest.mark.req("S10")
def test_origin_with_a_line_break_is_not_allowed(app: Flask, environment: Mapping[str, str]) -> None:
    created = create_app({**environment, "CORS_ORIGINS": "https://app.example.org"})

    for value in ("https://app.example.org\r\nX-Evil: 1", "https://app.example.org.evil.example.net", "null"):
        response = created.test_client().get("/api/v1/openapi.json", environ_overrides={"HTTP_ORIGIN": value})

        assert "Access-Control-Allow-Origin" not in response.headers
        assert "X-Evil" not in response.headers


@pytest.mark.req("S10")
def test_no_response_contains_a_forged_host(attacker: Attacker) -> None:
    forged = {"Host": EVIL, "X-Forwarded-Host": EVIL, "Forwarded": f"host={EVIL}", "X-Original-URL": f"//{EVIL}/"}

    for route in attacker.routes():
        body = {"json": attacker.example_body(route)} if "json" in route.schemas else {}
        response = attacker.open(route, headers=forged, **body)

        assert EVIL not in response.text, route
        assert EVIL not in str(response.headers), route


@pytest.mark.req("S10")
def test_method_override_headers_have_no_effect(attacker: Attacker) -> None:
    names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    for route in attacker.routes():
        if route.method != "GET":
            continue
        before = attacker.rows()["users"]

        responses = [attacker.open(route, headers={name: "DELETE"}) for name in names]
        plain = attacker.open(route)

        assert {response.status_code for response in responses} == {plain.status_code}, route
        assert {row[0] for row in before} <= {row[0] for row in attacker.rows()["users"]}, route
