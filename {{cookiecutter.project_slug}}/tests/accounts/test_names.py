"""Names that people read have no characters that are invisible or reorder the text."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.platform.api.fields import VisibleText

ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery staple"}
BLANK = [" ", "\u00a0", "\u2800", "\u200d", "\ufe0f", "Ada\u200d", "Ada \u200dB", "\u2065", "\U000e0fff"]
DISGUISED = ["\u202enimda", "Ada\x7f", "Ada\x85", "Ad\u200ba", "\ufeffAda", "Ada\u2028", "\u3164", *BLANK]
ORDINARY = ["Ada", "Zoë O\u2019Brien", "नेपा\u200dल", "\U0001f469\u200d\U0001f52c", "❤\ufe0f", "李小龍"]


@pytest.mark.fault("F66", "F67")
@pytest.mark.req("A6")
@pytest.mark.parametrize("name", DISGUISED)
def test_disguised_name_is_rejected(client: FlaskClient, headers: dict[str, str], name: str) -> None:
    registered = client.post("/api/v1/auth/register", json={**ACCOUNT, "display_name": name})
    changed = client.patch("/api/v1/users/me", json={"display_name": name}, headers=headers)

    for response in (registered, changed):
        assert response.status_code == 422
        assert response.get_json()["errors"] == {"display_name": ["Must not be blank or contain invisible characters."]}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_name_is_kept(client: FlaskClient, headers: dict[str, str], name: str) -> None:
    response = client.patch("/api/v1/users/me", json={"display_name": name}, headers=headers)

    assert (response.status_code, response.get_json()["display_name"]) == (200, name)


def test_name_is_too_long_before_it_is_searched(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.patch("/api/v1/users/me", json={"display_name": "\u202e" * 101}, headers=headers)

    assert response.get_json()["errors"] == {"display_name": ["Length must be between 1 and 100."]}


def test_specification_names_the_format() -> None:
    assert VisibleText().metadata == {"format": "visible-text"}
