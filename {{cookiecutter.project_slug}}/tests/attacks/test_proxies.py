"""Forged client addresses have no effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.accounts.models import User
from app.audit.models import AuditLog
from tests.accounts.factory import PASSWORD
from tests.routes import Route, routes

LOGIN = "/api/v1/auth/login"
NAMES = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Via")


def forged_headers(number: int) -> dict[str, str]:
    """Return one forged address in every header that proxies use."""
    address = f"192.0.2.{number}"
    return {name: f"for={address}" if name == "Forwarded" else address for name in NAMES}


@pytest.fixture
def proxied_app(app: Flask, environment: Mapping[str, str]) -> Flask:
    return create_app({**environment, "TRUSTED_PROXIES": "1"})


def rate_limited_routes(app: Flask) -> list[Route]:
    """Return one route for each rate limit; all callers are anonymous here."""
    return list({route.policy.rate_limit: route for route in routes(app) if route.policy.rate_limit}.values())


def remaining(response: TestResponse) -> int:
    return int(response.headers["RateLimit-Remaining"])


def call_anonymously(client: FlaskClient, route: Route, headers: dict[str, str]) -> TestResponse:
    return client.open(route.path(), method=route.method, headers=headers, json={} if route.method != "GET" else None)


@pytest.mark.req("A8", "S10")
def test_forged_address_does_not_reset_a_rate_limit(app: Flask, client: FlaskClient) -> None:
    assert len(rate_limited_routes(app)) > 5
    for route in rate_limited_routes(app):
        left = [remaining(call_anonymously(client, route, forged_headers(number))) for number in range(3)]

        assert left == [left[0], left[0] - 1, left[0] - 2], route


@pytest.mark.req("A8", "S10")
def test_only_the_entry_of_the_trusted_proxy_counts(proxied_app: Flask) -> None:
    client = proxied_app.test_client()
    for route in rate_limited_routes(proxied_app):
        forged = [
            {**forged_headers(number), "X-Forwarded-For": f"192.0.2.{number}, 203.0.113.7"} for number in range(3)
        ]
        left = [remaining(call_anonymously(client, route, headers)) for headers in forged]
        other_address = remaining(call_anonymously(client, route, {"X-Forwarded-For": "203.0.113.7, 203.0.113.8"}))

        assert left == [left[0], left[0] - 1, left[0] - 2], route
        assert other_address == left[0], route


@pytest.mark.req("P4")
def test_audit_log_records_the_trusted_address(
    app: Flask, proxied_app: Flask, user: User, audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    credentials = {"email": user.email, "password": PASSWORD}

    for service in (app, proxied_app):
        service.test_client().post(
            LOGIN, json=credentials, headers={**forged_headers(1), "X-Forwarded-For": "192.0.2.1, 203.0.113.7"}
        )

    assert [entry.address for entry in audit_entries()] == ["127.0.0.1", "203.0.113.7"]
