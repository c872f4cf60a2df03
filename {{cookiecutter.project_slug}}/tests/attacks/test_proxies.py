"""Addresses that callers make up count for nothing."""

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


def spoofs(number: int) -> dict[str, str]:
    """One made-up address in every header that any proxy uses."""
    address = f"192.0.2.{number}"
    return {name: f"for={address}" if name == "Forwarded" else address for name in NAMES}


@pytest.fixture
def behind_a_proxy(app: Flask, environment: Mapping[str, str]) -> Flask:
    made = create_app({**environment, "TRUSTED_PROXIES": "1"})
    app.extensions["celery"].set_current()
    return made


def limited(app: Flask) -> list[Route]:
    """The routes that count their callers, all of whom are anonymous here; one for each limit."""
    return list({route.view.rate_limit: route for route in routes(app) if route.view.rate_limit}.values())


def remaining(answer: TestResponse) -> int:
    return int(answer.headers["RateLimit-Remaining"])


def anonymously(client: FlaskClient, route: Route, headers: dict[str, str]) -> TestResponse:
    return client.open(route.path(), method=route.method, headers=headers, json={} if route.method != "GET" else None)


@pytest.mark.req("A8", "S10")
def test_no_limit_begins_anew_for_a_made_up_address(app: Flask, client: FlaskClient) -> None:
    assert len(limited(app)) > 10
    for route in limited(app):
        left = [remaining(anonymously(client, route, spoofs(number))) for number in range(3)]

        assert left == [left[0], left[0] - 1, left[0] - 2], route


@pytest.mark.req("A8", "S10")
def test_behind_a_proxy_only_the_entry_that_it_added_counts(behind_a_proxy: Flask) -> None:
    client = behind_a_proxy.test_client()
    for route in limited(behind_a_proxy):
        made_up = [{**spoofs(number), "X-Forwarded-For": f"192.0.2.{number}, 203.0.113.7"} for number in range(3)]
        left = [remaining(anonymously(client, route, headers)) for headers in made_up]
        elsewhere = remaining(anonymously(client, route, {"X-Forwarded-For": "203.0.113.7, 203.0.113.8"}))

        assert left == [left[0], left[0] - 1, left[0] - 2], route
        assert elsewhere == left[0], route


@pytest.mark.req("P4")
def test_the_audit_log_has_the_address_that_can_be_believed(
    app: Flask, behind_a_proxy: Flask, user: User, audited: Callable[[], Sequence[AuditLog]]
) -> None:
    given = {"email": user.email, "password": PASSWORD}

    for made in (app, behind_a_proxy):
        made.test_client().post(LOGIN, json=given, headers={**spoofs(1), "X-Forwarded-For": "192.0.2.1, 203.0.113.7"})

    assert [entry.address for entry in audited()] == ["127.0.0.1", "203.0.113.7"]
