"""Paths lead where routes are, and nowhere else."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.attacks.conftest import Attacker

PARTS = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "../../../etc/passwd",
    "%2e%2e/%2e%2e/settings.py",
    "..%5c..%5cwin.ini",
    "....//....//etc/passwd",
    "%252e%252e%252fetc%252fpasswd",
    "/etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "1%00.csv",
    "1;.csv",
    "1.5",
    "-1",
    "0",
    "0x1",
    "1e3",
    "1_0",
    "%201",
    "me",
    "*",
    "9223372036854775808",
    "\uff11",
    "9" * 400,
    "%C0%AE%C0%AE%C0%AF",
    "%ff%fe",
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part[:30])
@pytest.mark.req("A6", "D7")
def test_a_part_that_is_no_id_leads_nowhere(attacker: Attacker, part: str) -> None:
    for route in attacker.routes():
        if "<" not in route.rule.rule:
            continue
        answer = attacker.open(route, part, proof={})

        assert answer.status_code == 404, route
        assert "root:" not in answer.text


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("*", "me")], ids=lambda part: part[:30])
@pytest.mark.req("A6", "S10")
def test_a_name_that_is_no_asset_of_the_documentation_leads_nowhere(client: FlaskClient, part: str) -> None:
    answer = client.get(f"/docs/{part}", buffered=True)

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


@pytest.mark.req("S10")
def test_no_address_outside_of_the_routes_shows_a_file(client: FlaskClient) -> None:
    for path in (
        "/app/settings.py",
        "/.env",
        "/.git/config",
        "/static/../.env",
        "/docs/../.env",
        "/%2e%65nv",
    ):
        answer = client.get(path, buffered=True)

        assert answer.status_code == 404, path
