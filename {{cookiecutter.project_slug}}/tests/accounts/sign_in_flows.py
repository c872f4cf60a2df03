"""Requests of the flows that several tests of accounts use."""

from __future__ import annotations

import re
from email.message import EmailMessage
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts.models import User
from tests.accounts.factory import PASSWORD

AUTH, ME, ACTIVE = "/api/v1/auth", "/api/v1/users/me", "/api/v1/locations/active"

_numbers = count()


def post(
    client: FlaskClient, path: str, body: dict[str, Any], headers: dict[str, str] | None = None, address: str = ""
) -> TestResponse:
    """Send a body to a route below /auth; by default from a new address, in a network of its own."""
    environ = {"REMOTE_ADDR": address or f"2001:db8:{next(_numbers):x}:1::1"}
    return client.post(f"{AUTH}/{path}", json=body, headers=headers or {}, environ_base=environ)


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD) -> TestResponse:
    return post(client, "login", {"email": email, "password": password})


def first_step(client: FlaskClient, user: User) -> str:
    """Send the right password and return the token for the second step."""
    token: str = sign_in(client, user.email).get_json()["mfa_token"]
    return token


def second_step(client: FlaskClient, token: str, address: str = "", **body: str) -> TestResponse:
    return post(client, "login/totp", {"mfa_token": token, **body}, address=address)


def as_header(tokens: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def link_token(message: EmailMessage, page: str) -> str:
    """Return the token of the link to a page in an e-mail."""
    match = re.search(rf"https://service\.example\.org/{page}#token=(\S+)", message.get_content())
    assert match, message.get_content()
    return match[1]
