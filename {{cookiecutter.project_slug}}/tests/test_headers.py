"""What every answer carries, and which names and senders are believed."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app import create_app
from tests.environments import OPERATOR, basic_environment
from tests.test_configuration import GOOD

CARRIED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metrics", "/nothing", "/api/v1/users/me", "/api/v1/openapi.json"]
)
@pytest.mark.req("S10")
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert {name: headers.get(name) for name in CARRIED} == CARRIED
    assert headers["X-Request-ID"]
    assert "Strict-Transport-Security" not in headers


@pytest.mark.req("S10")
def test_production_asks_for_tls() -> None:
    client = create_app(GOOD).test_client()

    assert client.get("/health").headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.req("S10")
def test_the_documentation_page_has_its_own_policy(client: FlaskClient) -> None:
    with client.get("/docs") as answer:
        policy = answer.headers["Content-Security-Policy"]

    assert "script-src 'self';" in policy
    assert "http" not in policy


HOSTS = [
    ("api.example.org", 404),
    ("api.example.org:8443", 404),
    ("deep.app.example.org", 404),
    ("evil.example.net", 400),
    ("api.example.org.evil.net", 400),
    ("api.example.org@evil.net", 400),
    ("", 400),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
@pytest.mark.req("S10")
def test_only_trusted_hosts_are_answered(host: str, status: int) -> None:
    client = create_app(basic_environment(TRUSTED_HOSTS="api.example.org,.app.example.org")).test_client()

    assert client.get("/nothing", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
@pytest.mark.req("S10", "O1")
def test_probes_and_prometheus_are_answered_under_any_name(path: str) -> None:
    client = create_app(basic_environment(TRUSTED_HOSTS="api.example.org", DATABASE_URL="sqlite://")).test_client()

    assert client.get(path, headers={"Host": "10.0.0.7:8000", **OPERATOR}).status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a-b_c.9", True), ("x" * 128, True), ("x" * 129, False), ("two words", False), ("<script>", False), ("", False)],
)
@pytest.mark.req("S12")
def test_a_request_id_is_taken_over_when_it_is_harmless(client: FlaskClient, given: str, kept: bool) -> None:
    answered = client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"]

    assert (answered == given) is kept
    assert answered
