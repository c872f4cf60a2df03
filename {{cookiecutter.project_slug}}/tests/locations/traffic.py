"""Requests of locations for the soak test (see tests/soak/traffic.py)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.soak.client import get, post

LOCATIONS = "/api/v1/locations"
HERE = {"latitude": 52.5, "longitude": 13.4}

TRAFFIC = (
    (8, get(f"{LOCATIONS}?limit=20")),
    (5, get(f"{LOCATIONS}/active?minutes=5&limit=20")),
    (1, lambda client: client.send("PUT", f"{LOCATIONS}/sharing", 200, json={"shared": True})),
    (12, post(LOCATIONS, HERE, 201)),
    (1, post(f"{LOCATIONS}/batch", {"locations": [HERE] * 20}, 201)),
    (2, post(LOCATIONS, {"latitude": 91, "longitude": "east"}, 422)),
    (1, post(f"{LOCATIONS}/batch", {"locations": [{}] * 50}, 422)),
    (1, lambda client: client.send("DELETE", LOCATIONS, 405)),
    (1, lambda client: client.send("POST", LOCATIONS, 415, data="text")),
    (1, lambda client: client.send("POST", LOCATIONS, 400, data="{", headers=as_json(client.account.headers))),
    (0.2, post(LOCATIONS, {"text": "x" * 1_100_000}, 413)),
)


def as_json(headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "Content-Type": "application/json"}
