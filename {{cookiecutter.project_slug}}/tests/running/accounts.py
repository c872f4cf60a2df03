"""Accounts in tests of running services."""

from __future__ import annotations

from tests.accounts.factory import PASSWORD
from tests.running.conftest import Web

LOGIN, REGISTER, ME = "/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/users/me"


def account(name: str) -> dict[str, str]:
    """Return the e-mail and the password of a user."""
    return {"email": f"{name}@example.org", "password": PASSWORD}


ANN = account("ann")


def log_in(web: Web, name: str = "ann") -> dict[str, str]:
    """Register a user and log in; returns the header with the access token."""
    web.post(REGISTER, account(name))
    return auth_headers(web, name)


def auth_headers(web: Web, name: str) -> dict[str, str]:
    """Log a registered user in; returns the header with the access token."""
    return {"Authorization": f"Bearer {web.post(LOGIN, account(name)).json()['access_token']}"}
