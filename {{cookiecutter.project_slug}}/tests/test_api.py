"""The specification and its page."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.accounts.models import User
from tests.accounts.factory import bearer


def test_the_specification_is_valid(client: FlaskClient) -> None:
    document = client.get("/api/v1/openapi.json").get_json()

    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert "/api/v1/locations" in document["paths"]


def test_every_file_of_the_documentation_page_is_there(client: FlaskClient) -> None:
    with client.get("/docs") as answer:
        files = re.findall(r'(?:src|href)="([^"]+)"', answer.get_data(as_text=True))

    assert files
    for file in files:
        with client.get(file) as answer:
            assert answer.status_code == 200
        assert file.startswith("/docs/")


@pytest.mark.parametrize("query", ["x=1", "limit=5"])
@pytest.mark.req("A6")
def test_a_route_without_a_query_takes_none(app: Flask, client: FlaskClient, user: User, query: str) -> None:
    answer = client.get(f"/api/v1/users/me?{query}", headers=bearer(app, user))

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {query.split("=", maxsplit=1)[0]: ["Unknown field."]}
