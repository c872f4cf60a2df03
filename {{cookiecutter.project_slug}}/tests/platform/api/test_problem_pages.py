"""Each type of problem has a page that explains it."""

from __future__ import annotations

import re
from html import escape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.platform.web.problem_types import VALIDATION_FAILED, problem_types_of

pytestmark = pytest.mark.req("A9")

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_type_of_an_error_is_the_path_of_its_page(client: FlaskClient) -> None:
    problem = client.post("/api/v1/auth/login", json={}).get_json()

    page = client.get(problem["type"])

    assert page.status_code == 200
    assert page.get_json() == {
        "type": "/problems/validation-failed",
        "name": "validation-failed",
        "status": 422,
        "meaning": VALIDATION_FAILED.meaning,
        "action": VALIDATION_FAILED.action,
    }


def test_every_type_has_a_page(app: Flask, client: FlaskClient) -> None:
    pages = {name: client.get(f"/problems/{name}", headers=BROWSER) for name in problem_types_of(app)}

    assert {page.status_code for page in pages.values()} == {200}
    for name, kind in problem_types_of(app).items():
        assert all(text in pages[name].text for text in (name, escape(kind.meaning), escape(kind.action)))


def test_list_names_every_type(app: Flask, client: FlaskClient) -> None:
    listed = client.get("/problems").get_json()["items"]

    assert {kind["name"] for kind in listed} == problem_types_of(app).keys()


def test_browsers_get_links_to_every_type(app: Flask, client: FlaskClient) -> None:
    page = client.get("/problems", headers=BROWSER)

    assert page.mimetype == "text/html"
    assert {f"/problems/{name}" for name in problem_types_of(app)} == set(re.findall(r"href='([^']+)'", page.text))


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (BROWSER["Accept"], "text/html"),
        ("application/json", "application/json"),
        ("application/problem+json", "application/json"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
def test_format_follows_the_accept_header(client: FlaskClient, accept: str, mimetype: str) -> None:
    page = client.get("/problems/validation-failed", headers={"Accept": accept})

    assert page.mimetype == mimetype
    assert page.headers["Vary"] == "Accept"


def test_unknown_type_is_not_found(client: FlaskClient) -> None:
    response = client.get("/problems/%3Cb%3Eunknown", headers=BROWSER)

    assert response.status_code == 404
    assert response.mimetype == "application/problem+json"
    assert response.get_json()["type"] == "about:blank"
