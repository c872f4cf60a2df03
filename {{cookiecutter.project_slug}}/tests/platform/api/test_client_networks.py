"""Rate limits count the networks of an address: neither new addresses nor other spellings start a new count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app

LOGIN, ME = "/api/v1/auth/login", "/api/v1/users/me"


def statuses(client: FlaskClient, addresses: Iterable[str]) -> list[int]:
    """Send a wrong login from each address, each for another account, and return the statuses."""
    return [
        client.post(
            LOGIN,
            json={"email": f"unknown{number}@example.org", "password": "wrong"},
            environ_base={"REMOTE_ADDR": address},
        ).status_code
        for number, address in enumerate(addresses)
    ]


@pytest.mark.fault("F7")
@pytest.mark.req("A8")
def test_mapped_addresses_count_separately(client: FlaskClient) -> None:
    assert statuses(client, ["::ffff:192.0.2.1"] * 6) == [401] * 5 + [429]
    assert statuses(client, ["::ffff:192.0.2.2"]) == [401]
    assert statuses(client, ["192.0.2.1"]) == [429]  # the same client over IPv4


@pytest.mark.fault("F8")
@pytest.mark.req("A8", "S10")
def test_ports_in_forwarded_addresses_do_not_start_new_counts(app: Flask, environment: Mapping[str, str]) -> None:
    client = create_app({**environment, "TRUSTED_PROXIES": "1"}).test_client()
    values = [f"203.0.113.8:{port}" for port in range(50_001, 50_004)] + [f"unknown{number}" for number in range(4)]

    remaining = [client.get(ME, headers={"X-Forwarded-For": value}).headers["RateLimit-Remaining"] for value in values]

    assert remaining == ["199", "198", "197", "199", "198", "197", "196"]


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [
        ([f"2001:db8:1:{number:x}::1" for number in range(64)], 20),  # 64 networks of one /56
        ([f"2001:db8:2:{number:x}00::1" for number in range(90)], 80),  # 90 networks of one /48
        ([f"198.51.100.{number}" for number in range(90)], 80),
    ],
    ids=["/56", "/48", "/24"],
)
@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_wider_networks_have_a_larger_allowance(client: FlaskClient, addresses: list[str], allowed: int) -> None:
    assert statuses(client, addresses) == [401] * allowed + [429] * (len(addresses) - allowed)


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_full_network_does_not_count_for_other_networks(client: FlaskClient) -> None:
    statuses(client, [f"2001:db8:1:{number:x}::1" for number in range(21)])

    assert statuses(client, ["2001:db8:1:ff::1", "2001:db8:1:100::1", "2001:db8:2::1"]) == [429, 401, 401]


@pytest.mark.req("A8")
def test_request_that_a_network_rejects_counts_nowhere(client: FlaskClient) -> None:
    statuses(client, [f"2001:db8:1:{number:x}::1" for number in range(20)])

    response = client.post(
        LOGIN, json={"email": "a@example.org", "password": "x"}, environ_base={"REMOTE_ADDR": "2001:db8:1:20::1"}
    )

    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit-Remaining"] == "0"
