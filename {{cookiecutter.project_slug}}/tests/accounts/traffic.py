"""Requests of accounts for the soak test (see tests/soak/traffic.py)."""

from __future__ import annotations

import requests

from tests.accounts.factory import PASSWORD
from tests.soak.client import Client, get, post

AUTH, ME = "/api/v1/auth", "/api/v1/users/me"
UNKNOWN = "unknown@example.org"
TOO_MANY = 429  # a busy service may refuse to hash another password


def start_and_end_session(client: Client) -> None:
    """Log in, renew the session and log out."""
    account = {"email": client.account.email, "password": PASSWORD}
    response = client.send("POST", f"{AUTH}/login", 200, TOO_MANY, json=account, headers={})
    if response.status_code != requests.codes.ok:
        return
    body = {"refresh_token": response.json()["refresh_token"]}
    token = client.send("POST", f"{AUTH}/refresh", 200, json=body, headers={}).json().get("access_token")
    if token:
        client.send("POST", f"{AUTH}/logout", 204, json={}, headers={"Authorization": f"Bearer {token}"})


TRAFFIC = (
    (20, get(ME)),
    (2, lambda client: client.send("PATCH", ME, 200, json={"display_name": "Ada"})),
    (0.4, start_and_end_session),
    (2, get(ME, 401, headers={"Authorization": "Bearer forged"})),
    (2, get(ME, 401, headers={})),
    (0.3, post(f"{AUTH}/login", {"email": UNKNOWN, "password": "wrong password"}, 401, TOO_MANY, headers={})),
    (0.5, post(f"{AUTH}/forgot-password", {"email": UNKNOWN}, 202, 429, headers={})),
    (0.5, get("/api/v1/admin/users", 403)),
)
