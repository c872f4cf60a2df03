"""What callers learn about missing and useless credentials."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import User
from app.platform.components import platform_of
from app.platform.security.access import ApiKeys
from app.platform.web.caller import KEY_PREFIX
from tests.accounts.factory import bearer

pytestmark = pytest.mark.req("A2")

ME = "/api/v1/users/me"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Sign in first, and send the token: Authorization: Bearer <access_token>."),
        ({"Authorization": "Basic YTpi"}, "Sign in first, and send the token: Authorization: Bearer <access_token>."),
        ({"Authorization": "Bearer x"}, "The token is not valid."),
        ({"X-API-Key": "x"}, "The API key is not valid."),
    ],
)
def test_rejected_credentials_are_explained(client: FlaskClient, headers: dict[str, str], message: str) -> None:
    response = client.get(ME, headers=headers)

    assert (response.status_code, response.get_json()["message"]) == (401, message)


def test_token_is_no_api_key(app: Flask, client: FlaskClient, user: User) -> None:
    token = bearer(app, user)["Authorization"].removeprefix("Bearer ")

    assert client.get(ME, headers={"X-API-Key": token}).status_code == 401


def test_service_without_api_keys_says_so(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = platform_of(app)
    find = platform.find
    monkeypatch.setattr(platform, "find", lambda kind: None if kind is ApiKeys else find(kind))

    response = client.get(ME, headers={"X-API-Key": f"{KEY_PREFIX}12345678_{'x' * 40}"})

    assert (response.status_code, response.get_json()["message"]) == (
        401,
        "This service accepts no API keys: sign in.",
    )


def test_methods_of_a_protected_route_need_no_credentials(client: FlaskClient) -> None:
    response = client.options(ME)

    assert response.status_code == 200
    assert response.allow.as_set() >= {"get", "patch", "options"}
