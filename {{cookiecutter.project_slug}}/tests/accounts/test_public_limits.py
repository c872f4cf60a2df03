"""Public routes count the client's address and the target, and ignore credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.platform.redis.client import redis_of
from app.platform.security import tokens
from tests.accounts.factory import bearer, make_user
from tests.accounts.samples import create_refresh_body

AUTH = "/api/v1/auth"
BODIES: dict[str, Callable[[int], dict[str, str]]] = {
    "login": lambda number: {"email": f"unknown{number}@example.org", "password": "a wrong password"},
    "register": lambda number: {"email": f"new{number}@example.org", "password": "short"},
    "forgot-password": lambda number: {"email": f"unknown{number}@example.org"},
    "refresh": lambda number: {"refresh_token": f"x{number}"},
    "reset-password": lambda number: {"token": f"x{number}", "new_password": "a long enough password"},
}


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.fault("F2")
@pytest.mark.req("A8")
def test_own_token_does_not_choose_the_count(app: Flask, client: FlaskClient, session: Session, route: str) -> None:
    """Every request comes from another user, but from one address."""
    remaining = [
        int(
            client.post(f"{AUTH}/{route}", json=BODIES[route](number), headers=bearer(app, make_user(session))).headers[
                "RateLimit-Remaining"
            ]
        )
        for number in range(3)
    ]

    assert remaining == [remaining[0], remaining[0] - 1, remaining[0] - 2]


@pytest.mark.fault("F2")
@pytest.mark.req("A8")
def test_rejected_address_gets_no_further_guess_with_a_token(app: Flask, client: FlaskClient, user: User) -> None:
    statuses = [client.post(f"{AUTH}/login", json=BODIES["login"](number)).status_code for number in range(6)]

    with_token = client.post(f"{AUTH}/login", json=BODIES["login"](7), headers=bearer(app, user))

    assert statuses == [401] * 5 + [429]
    assert with_token.status_code == 429


def from_other_addresses(client: FlaskClient, route: str, body: dict[str, str], count: int) -> list[int]:
    """Send the same body from addresses of different networks."""
    return [
        client.post(f"{AUTH}/{route}", json=body, environ_base={"REMOTE_ADDR": f"192.0.{number}.1"}).status_code
        for number in range(count)
    ]


@pytest.fixture
def limited(app: Flask, environment: Mapping[str, str]) -> FlaskClient:
    """A client of an app that allows three requests per target."""
    names = ("RATELIMIT_REGISTER", "RATELIMIT_ACCOUNT_EMAIL", "RATELIMIT_TOKEN")
    return create_app({**environment, **dict.fromkeys(names, "3/hour")}).test_client()


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("register", {"email": "new@example.org", "password": "a long enough password"}, 409),
        ("forgot-password", {"email": "Victim@example.org"}, 202),
        ("refresh", {"refresh_token": "x.y.z"}, 401),
        ("reset-password", {"token": "x.y.z", "new_password": "a long enough password"}, 401),
    ],
)
@pytest.mark.fault("F2")
@pytest.mark.req("A8")
def test_target_is_limited_over_all_addresses(
    limited: FlaskClient, route: str, body: dict[str, str], status: int
) -> None:
    found = from_other_addresses(limited, route, body, 5)

    assert found[1:] == [status] * 2 + [429] * 2


@pytest.mark.fault("F2")
@pytest.mark.req("A8")
def test_case_of_the_email_does_not_start_a_new_count(limited: FlaskClient) -> None:
    emails = [f"{name}@Example.org" for name in ("victim", "Victim", "VICTIM", "vicTim")]

    statuses = [from_other_addresses(limited, "forgot-password", {"email": email}, 1)[0] for email in emails]

    assert statuses == [202, 202, 202, 429]


def test_headers_show_the_limit_of_the_address(limited: FlaskClient) -> None:
    responses = [limited.post(f"{AUTH}/forgot-password", json={"email": "a@example.org"}) for _ in range(4)]

    assert [response.headers["RateLimit-Limit"] for response in responses[:3]] == ["5"] * 3
    assert [response.headers["RateLimit-Remaining"] for response in responses[:3]] == ["4", "3", "2"]
    assert responses[3].status_code == 429
    assert int(responses[3].headers["Retry-After"]) > 3500


@pytest.mark.req("S12")
def test_redis_holds_no_email_and_no_token(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    redis: Any = redis_of(app)
    if redis is None:
        pytest.skip("needs the app's Redis: run with TEST_DATABASE=postgresql")
    with app.app_context():
        body = create_refresh_body(app, session, user)
    client.post(f"{AUTH}/refresh", json=body)
    client.post(f"{AUTH}/login", json={"email": "someone@example.org", "password": "wrong"})

    keys = " ".join(redis.keys())
    assert "target:" in keys
    assert "backoff:" in keys
    assert "@" not in keys
    assert body["refresh_token"] not in keys


def test_disabled_limits_allow_any_number(app: Flask, environment: Mapping[str, str], user: User) -> None:
    client = create_app({**environment, "RATELIMIT_ENABLED": "false"}).test_client()

    wrong = {"email": user.email, "password": "wrong"}
    assert from_other_addresses(client, "login", wrong, 8) == [401] * 8


def test_used_refresh_token_is_rejected_before_its_limit(app: Flask, client: FlaskClient, user: User) -> None:
    with app.app_context():
        unknown = tokens.sign(tokens.REFRESH, user.id, 60, sid=2**40)

    statuses = from_other_addresses(client, "refresh", {"refresh_token": unknown}, 12)

    assert statuses == [401] * 10 + [429] * 2
