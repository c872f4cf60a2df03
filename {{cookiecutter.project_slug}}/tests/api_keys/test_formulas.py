"""Spreadsheet formulas in the names of API keys are plain text."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import User
from app.platform.components import platform_of
from tests.accounts.factory import bearer


@pytest.mark.parametrize("formula", ["=1+1 key", "+1 key", "-1+cmd|' /C calc'!A0 key", "@SUM(1) key"])
@pytest.mark.req("P3", "A6")
def test_formula_in_key_name_is_returned_unchanged(app: Flask, client: FlaskClient, user: User, formula: str) -> None:
    headers, scope = bearer(app, user), platform_of(app).scopes[0]

    key = client.post("/api/v1/api-keys", json={"name": formula, "scopes": [scope]}, headers=headers).get_json()
    exported = client.get("/api/v1/users/me/data-export", headers=headers, buffered=True)

    assert key["name"] == formula
    assert f'"{formula}"' in exported.text
