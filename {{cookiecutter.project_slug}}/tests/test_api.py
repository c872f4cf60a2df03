"""How requests are read before a feature sees them, and the documentation page."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import User
from app.api import VERSIONS
from tests.accounts.factory import bearer

LOGOUT, ME = "/api/v1/auth/logout", "/api/v1/users/me"


@pytest.fixture
def headers(app: Flask, user: User) -> dict[str, str]:
    return bearer(app, user)


@pytest.mark.parametrize("query", ["x=1", "limit=5"])
@pytest.mark.req("A6")
def test_a_route_without_a_query_takes_none(client: FlaskClient, headers: dict[str, str], query: str) -> None:
    answer = client.get(f"{ME}?{query}", headers=headers)

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {query.split("=", maxsplit=1)[0]: ["Unknown field."]}


@pytest.mark.req("A6")
def test_a_body_that_nobody_needs_may_be_left_out(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post(LOGOUT, headers=headers).status_code == 204


@pytest.mark.req("A7")
def test_an_answer_without_a_body_has_none(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post(LOGOUT, headers=headers)

    assert answer.data == b""
    assert not answer.content_type


@pytest.mark.req("A6", "S11")
def test_a_body_that_is_needed_may_not(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.patch(ME, headers=headers).status_code == 415


@pytest.mark.req("A6", "S11")
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [("{}", "application/json", 204), ("", "application/json", 400), ("{}", "", 415), ("x=1", "text/plain", 415)],
)
def test_a_body_that_nobody_needs_must_be_one_when_it_comes(
    client: FlaskClient, headers: dict[str, str], body: str, content_type: str, status: int
) -> None:
    answer = client.post(LOGOUT, data=body, content_type=content_type, headers=headers)

    assert answer.status_code == status


NO_ROWS = ["0", "00", "9223372036854775807", "9223372036854775808", "9999999999999999999", "9" * 5000]
NO_NUMBERS = ["-1", "1.0", "x", "1_0", "%D9%A1", "%20" + "1"]


@pytest.mark.req("A6")
@pytest.mark.parametrize("part", NO_ROWS + NO_NUMBERS, ids=lambda part: part[:20])
def test_what_is_no_id_is_not_found_by_any_method(client: FlaskClient, headers: dict[str, str], part: str) -> None:
    answers = [
        client.open(f"/api/v1/data-files/{part}", method=method, headers=headers) for method in ("GET", "DELETE")
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.req("A7")
def test_every_file_of_the_documentation_page_is_there(client: FlaskClient) -> None:
    with client.get("/docs") as answer:
        files = re.findall(r'(?:src|href)="([^"?]+)"', answer.get_data(as_text=True))

    assert len(files) >= 5
    for file in files:
        with client.get(file) as answer:
            assert answer.status_code == 200
        assert file.startswith("/docs/")


@pytest.mark.req("A1", "A7")
def test_the_documentation_page_offers_every_version(client: FlaskClient) -> None:
    with client.get("/docs") as answer:
        offered = re.findall(
            '<a href="/docs[?]version=(.*)" data-specification="(.*)">(.*)</a>', answer.get_data(as_text=True)
        )

    assert offered == [(version, f"/api/{version}/openapi.json", version) for version in VERSIONS]


@pytest.mark.req("S10")
def test_the_documentation_page_may_load_nothing_from_elsewhere_and_no_script_of_its_own(client: FlaskClient) -> None:
    with client.get("/docs") as answer:
        policy = answer.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
