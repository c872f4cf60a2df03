"""Security headers, trusted hosts and request ids."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app import create_app
from tests.environments import OPERATOR, basic_environment
from tests.platform.settings.test_checks import PRODUCTION

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metrics", "/nothing", "/api/v1/users/me", "/api/v1/openapi.json"]
)
@pytest.mark.req("S10")
def test_every_response_has_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert headers["X-Request-ID"]
    assert "Strict-Transport-Security" not in headers


@pytest.mark.req("S10")
def test_production_sends_hsts() -> None:
    client = create_app(PRODUCTION).test_client()

    assert client.get("/health").headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.req("S10")
def test_documentation_page_has_its_own_policy(client: FlaskClient) -> None:
    with client.get("/docs") as response:
        policy = response.headers["Content-Security-Policy"]

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
def test_untrusted_hosts_are_rejected(host: str, status: int) -> None:
    client = create_app(basic_environment(TRUSTED_HOSTS="api.example.org,.app.example.org")).test_client()

    assert client.get("/nothing", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("path", ["//api//v1", "/api//v1/users/me", "/api/v1/users/me/", "/docs/", "//evil.net"])
@pytest.mark.fault("F38")
@pytest.mark.req("S10")
def test_no_path_is_redirected_to_the_host_of_the_client(path: str) -> None:
    environ = EnvironBuilder(base_url="http://evil.example").get_environ() | {"PATH_INFO": path}

    _, status, headers = run_wsgi_app(create_app(basic_environment()), environ)

    assert status.startswith("404")
    assert "Location" not in headers


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
@pytest.mark.req("S10", "O1")
def test_probes_and_metrics_accept_any_host(path: str) -> None:
    client = create_app(basic_environment(TRUSTED_HOSTS="api.example.org", DATABASE_URL="sqlite://")).test_client()

    assert client.get(path, headers={"Host": "10.0.0.7:8000", **OPERATOR}).status_code == 200


@pytest.mark.parametrize(
    ("request_id", "accepted"),
    [("a-b_c.9", True), ("x" * 128, True), ("x" * 129, False), ("two words", False), ("<script>", False), ("", False)],
)
@pytest.mark.req("S12")
def test_only_safe_request_ids_are_accepted(client: FlaskClient, request_id: str, accepted: bool) -> None:
    returned = client.get("/health", headers={"X-Request-ID": request_id}).headers["X-Request-ID"]

    assert (returned == request_id) is accepted
    assert returned
