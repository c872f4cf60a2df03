"""Request parsing, ids in paths, and the documentation page."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from app.platform.api.blueprints import VERSIONS

LOGOUT, ME = "/api/v1/auth/logout", "/api/v1/users/me"


@pytest.mark.parametrize("query", ["x=1", "limit=5"])
@pytest.mark.req("A6")
def test_undeclared_query_parameters_are_rejected(client: FlaskClient, headers: dict[str, str], query: str) -> None:
    response = client.get(f"{ME}?{query}", headers=headers)

    assert response.status_code == 422
    assert response.get_json()["errors"] == {query.split("=", maxsplit=1)[0]: ["Unknown field."]}


@pytest.mark.req("A6")
def test_optional_body_may_be_omitted(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post(LOGOUT, headers=headers).status_code == 204


@pytest.mark.req("A7")
def test_response_without_body_is_empty(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.post(LOGOUT, headers=headers)

    assert response.data == b""
    assert not response.content_type


@pytest.mark.req("A6", "S11")
def test_required_body_may_not_be_omitted(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.patch(ME, headers=headers).status_code == 415


@pytest.mark.req("A6", "S11")
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [("{}", "application/json", 204), ("", "application/json", 400), ("{}", "", 415), ("x=1", "text/plain", 415)],
)
def test_optional_body_must_be_valid(
    client: FlaskClient, headers: dict[str, str], body: str, content_type: str, status: int
) -> None:
    response = client.post(LOGOUT, data=body, content_type=content_type, headers=headers)

    assert response.status_code == status


OUT_OF_RANGE_IDS = ["0", "00", "9223372036854775807", "9223372036854775808", "9999999999999999999", "9" * 5000]
MALFORMED_IDS = ["-1", "1.0", "x", "1_0", "%D9%A1", "%20" + "1"]


@pytest.mark.req("A6")
@pytest.mark.parametrize("identifier", OUT_OF_RANGE_IDS + MALFORMED_IDS, ids=lambda identifier: identifier[:20])
def test_invalid_id_is_not_found_for_every_method(
    client: FlaskClient, headers: dict[str, str], identifier: str
) -> None:
    responses = [
        client.open(f"/api/v1/admin/users/{identifier}/role", method=method, headers=headers)
        for method in ("GET", "PUT")
    ]

    assert [response.status_code for response in responses] == [404, 404]


@pytest.mark.req("A7")
def test_documentation_page_has_all_its_files(client: FlaskClient) -> None:
    with client.get("/docs") as response:
        files = re.findall(r'(?:src|href)="([^"?]+)"', response.get_data(as_text=True))

    assert len(files) >= 5
    for file in files:
        with client.get(file) as response:
            assert response.status_code == 200
        assert file.startswith("/docs/")


@pytest.mark.req("A1", "A7")
def test_documentation_page_links_every_version(client: FlaskClient) -> None:
    with client.get("/docs") as response:
        links = re.findall(
            '<a href="/docs[?]version=(.*)" data-specification="(.*)">(.*)</a>', response.get_data(as_text=True)
        )

    assert links == [(version, f"/api/{version}/openapi.json", version) for version in VERSIONS]


@pytest.mark.req("S10")
def test_documentation_page_loads_only_its_own_files(client: FlaskClient) -> None:
    with client.get("/docs") as response:
        policy = response.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
