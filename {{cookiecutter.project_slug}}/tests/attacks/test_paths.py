"""Only the paths of routes return content."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.attacks.conftest import Attacker

VALUES = [
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


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:30])
@pytest.mark.req("A6", "D7")
def test_invalid_id_in_a_path_is_not_found(attacker: Attacker, value: str) -> None:
    for route in attacker.routes():
        if "<" not in route.rule.rule:
            continue
        response = attacker.open(route, value, credentials={})

        assert response.status_code == 404, route
        assert "root:" not in response.text


@pytest.mark.parametrize("value", [value for value in VALUES if value not in ("*", "me")], ids=lambda value: value[:30])
@pytest.mark.req("A6", "S10")
def test_unknown_documentation_asset_is_not_found(client: FlaskClient, value: str) -> None:
    response = client.get(f"/docs/{value}", buffered=True)

    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


@pytest.mark.req("S10")
def test_paths_outside_the_routes_return_no_file(client: FlaskClient) -> None:
    for path in (
        "/app/settings.py",
        "/.env",
        "/.git/config",
        "/static/../.env",
        "/docs/../.env",
        "/%2e%65nv",
    ):
        response = client.get(path, buffered=True)

        assert response.status_code == 404, path
