"""CORS: only pages of listed origins may call the API."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app import create_app
from tests.environments import basic_environment

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
PATH = "/api/v1/users/me"


@pytest.fixture(scope="module")
def cors_client() -> FlaskClient:
    return create_app(basic_environment(CORS_ORIGINS="https://app.example.org")).test_client()


@pytest.mark.req("S9")
def test_listed_origin_is_allowed(cors_client: FlaskClient) -> None:
    response = cors_client.options(PATH, headers={**PREFLIGHT, "Origin": "https://app.example.org"})

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "authorization" in response.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.net",
        "http://app.example.org",
        "https://app.example.org.evil.net",
        "https://appxexample.org",
        "null",
    ],
)
@pytest.mark.req("S9")
def test_other_origins_are_rejected(cors_client: FlaskClient, origin: str) -> None:
    for response in (
        cors_client.options(PATH, headers={**PREFLIGHT, "Origin": origin}),
        cors_client.get(PATH, headers={"Origin": origin}),
    ):
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.req("S9")
def test_listed_origin_can_read_errors(cors_client: FlaskClient) -> None:
    response = cors_client.get(PATH, headers={"Origin": "https://app.example.org"})

    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


@pytest.mark.req("S9", "A9")
def test_listed_origin_may_repeat_and_condition_requests(cors_client: FlaskClient) -> None:
    names = {"idempotency-key", "if-match", "if-none-match"}
    origin = {"Origin": "https://app.example.org"}

    preflight = cors_client.options(
        PATH, headers={**PREFLIGHT, **origin, "Access-Control-Request-Headers": ", ".join(sorted(names))}
    )
    exposed = cors_client.get(PATH, headers=origin).headers["Access-Control-Expose-Headers"]

    assert set(preflight.headers["Access-Control-Allow-Headers"].lower().split(", ")) == names
    assert {"ETag", "Idempotency-Replayed"} <= set(exposed.split(", "))


@pytest.mark.req("S9")
def test_without_cors_origins_every_origin_is_rejected(client: FlaskClient) -> None:
    response = client.options(PATH, headers={**PREFLIGHT, "Origin": "https://app.example.org"})

    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.fixture(scope="module")
def wildcard_client() -> FlaskClient:
    return create_app(basic_environment(CORS_ORIGINS="https://*.example.org,http://[::1]:3000")).test_client()


@pytest.mark.fault("F33")
@pytest.mark.req("S9")
@pytest.mark.parametrize("origin", ["https://app.example.org", "https://a-b.example.org", "http://[::1]:3000"])
def test_wildcard_allows_one_more_label(wildcard_client: FlaskClient, origin: str) -> None:
    response = wildcard_client.get(PATH, headers={"Origin": origin})

    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Vary"] == "Origin"


@pytest.mark.fault("F33")
@pytest.mark.req("S9")
@pytest.mark.parametrize(
    "origin",
    [
        *("https://xexample.org.evil.com", "https://app.example.org.evil.com", "https://example.org"),
        *("https://a.b.example.org", "https://.example.org", "https://evil.com/.example.org", "http://app.example.org"),
        *("https://app.example.org:8443", "https://app.example.org\n", "https://evil.com#.example.org", "null", ""),
        *("http://:", "http://1:3000", "https://app_example.org", "https://user@app.example.org"),
    ],
)
def test_wildcard_allows_nothing_else(wildcard_client: FlaskClient, origin: str) -> None:
    response = wildcard_client.get(PATH, environ_overrides={"HTTP_ORIGIN": origin})

    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.req("S9")
def test_requests_without_origin_get_no_cors_headers(cors_client: FlaskClient) -> None:
    response = cors_client.get(PATH)

    assert "Access-Control-Allow-Origin" not in response.headers
