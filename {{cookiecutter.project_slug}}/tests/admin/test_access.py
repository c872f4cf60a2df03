"""Who may call the admins' routes."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.security.access import SCOPES
from tests.accounts.factory import bearer, make_user
from tests.api_keys.factory import with_key
from tests.routes import Route, routes

BODIES = {"/admin/users/<int:user_id>/role": {"role": "admin"}}
ROUTES = {
    "GET /admin/users",
    "PUT /admin/users/<int:user_id>/role",
    "POST /admin/users/<int:user_id>/reset-password",
    "GET /admin/stats",
    "GET /admin/audit-logs",
}


def of_admins(app: Flask) -> list[Route]:
    return [route for route in routes(app) if "/admin/" in route.rule.rule]


def call(client: FlaskClient, route: Route, user: User, headers: dict[str, str]) -> int:
    body = BODIES.get(route.rule.rule.removeprefix("/api/v1").removeprefix("/api/v2"))
    return client.open(route.path(user.id), method=route.method, json=body, headers=headers).status_code


@pytest.mark.req("A5")
def test_these_are_the_routes_of_admins(app: Flask) -> None:
    known = {
        f"{route.method} {route.rule.rule.partition('/v1')[2]}" for route in of_admins(app) if "/v1/" in str(route)
    }

    assert known == ROUTES
    assert all(route.access == "admin" for route in of_admins(app))


@pytest.mark.req("A5")
def test_only_admins_get_in(app: Flask, client: FlaskClient, session: Session) -> None:
    for route in of_admins(app):
        user, admin = make_user(session), make_user(session, role="admin")

        statuses = {
            "anonymous": call(client, route, user, {}),
            "user": call(client, route, user, bearer(app, user)),
            "key": call(client, route, user, with_key(session, admin, *SCOPES)),
            "admin": call(client, route, user, bearer(app, admin)),
        }

        assert statuses == {"anonymous": 401, "user": 403, "key": 403, "admin": statuses["admin"]}, route
        assert statuses["admin"] in (200, 202), route


@pytest.mark.req("A5")
def test_what_is_said_of_nobody_is_that_there_is_nobody(app: Flask, client: FlaskClient, session: Session) -> None:
    headers = bearer(app, make_user(session, role="admin"))

    for route in of_admins(app):
        if "<" not in route.rule.rule:
            continue
        body = BODIES.get(route.rule.rule.removeprefix("/api/v1").removeprefix("/api/v2"))
        answer = client.open(route.path(10**17), method=route.method, json=body, headers=headers)

        assert answer.status_code == 404, route
        assert answer.get_json()["message"] == "There is no such user."


@pytest.mark.req("A5", "A2")
def test_who_is_no_admin_any_more_is_refused_at_once_with_the_old_token(
    app: Flask, client: FlaskClient, session: Session
) -> None:
    for route in of_admins(app):
        admin, other = make_user(session, role="admin"), make_user(session, role="admin")
        old = bearer(app, other)

        demoted = client.put(f"/api/v1/admin/users/{other.id}/role", json={"role": "user"}, headers=bearer(app, admin))

        assert demoted.status_code == 200
        assert call(client, route, admin, old) == 401, route
        assert call(client, route, admin, bearer(app, session.get_one(User, other.id, populate_existing=True))) == 403
