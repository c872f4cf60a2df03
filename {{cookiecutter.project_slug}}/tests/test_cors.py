"""Which origins' pages may call the API."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app import create_app
from tests.environments import basic_environment

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
PATH = "/api/v1/locations"


@pytest.fixture(scope="module")
def allowing() -> FlaskClient:
    return create_app(basic_environment(CORS_ORIGINS="https://app.example.org")).test_client()


@pytest.mark.req("S9")
def test_a_listed_origin_may_ask(allowing: FlaskClient) -> None:
    answer = allowing.options(PATH, headers={**PREFLIGHT, "Origin": "https://app.example.org"})

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in answer.headers


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
def test_another_origin_may_not(allowing: FlaskClient, origin: str) -> None:
    for answer in (
        allowing.options(PATH, headers={**PREFLIGHT, "Origin": origin}),
        allowing.get(PATH, headers={"Origin": origin}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.req("S9")
def test_errors_can_be_read_by_a_listed_origin(allowing: FlaskClient) -> None:
    answer = allowing.get(PATH, headers={"Origin": "https://app.example.org"})

    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.req("S9")
def test_without_a_list_no_origin_may(client: FlaskClient) -> None:
    answer = client.options(PATH, headers={**PREFLIGHT, "Origin": "https://app.example.org"})

    assert "Access-Control-Allow-Origin" not in answer.headers
