"""Requests of API keys for the soak test (see tests/soak/traffic.py)."""

from __future__ import annotations

import requests

from tests.soak.client import Client, get

KEYS, ME = "/api/v1/api-keys", "/api/v1/users/me"


def create_use_and_revoke(client: Client) -> None:
    """Create a key, read with it, and revoke it."""
    response = client.send("POST", KEYS, 201, json={"name": "soak", "scopes": ["profile:read"]})
    if response.status_code != requests.codes.created:
        return
    key = response.json()
    client.send("GET", ME, 200, headers={"X-API-Key": key["key"]})
    client.send("DELETE", f"{KEYS}/{key['id']}", 204)


TRAFFIC = (
    (3, get(KEYS)),
    (1, create_use_and_revoke),
    (1, get(ME, 401, headers={"X-API-Key": "fsk_00000000_forged"})),
)
