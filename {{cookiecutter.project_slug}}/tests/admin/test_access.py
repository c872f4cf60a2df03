"""Only admins may call the admin routes of any feature."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from tests.accounts.factory import bearer, make_user
from tests.routes import Route, routes

MISSING_ID = 10**17


def admin_routes(app: Flask) -> list[Route]:
    return [route for route in routes(app) if "/admin/" in route.rule.rule]


def call(client: FlaskClient, route: Route, user_id: int, headers: dict[str, str]) -> int:
    return client.open(route.path(user_id), method=route.method, headers=headers).status_code


@pytest.mark.req("A5")
def test_admin_routes_are_exactly_those_for_admins(app: Flask) -> None:
    under_admin = {str(route) for route in admin_routes(app)}

    assert under_admin == {str(route) for route in routes(app) if route.access == "admin"}
    assert under_admin >= {"GET /api/v1/admin/stats", "GET /api/v2/admin/stats"}


@pytest.mark.req("A5")
def test_admin_routes_reject_all_except_admins(app: Flask, client: FlaskClient, session: Session) -> None:
    for route in admin_routes(app):
        user, admin = make_user(session), make_user(session, role="admin")

        statuses = {
            "anonymous": call(client, route, user.id, {}),
            "user": call(client, route, user.id, bearer(app, user)),
            "user, unknown id": call(client, route, MISSING_ID, bearer(app, user)),
        }

        assert statuses == {"anonymous": 401, "user": 403, "user, unknown id": 403}, route
        assert call(client, route, user.id, bearer(app, admin)) not in (401, 403), route


@pytest.mark.req("A5", "A2")
def test_demoted_admin_is_rejected_at_once_with_the_old_token(
    app: Flask, client: FlaskClient, session: Session
) -> None:
    for route in admin_routes(app):
        admin, other = make_user(session, role="admin"), make_user(session, role="admin")
        old_token = bearer(app, other)

        demotion = client.put(f"/api/v1/admin/users/{other.id}/role", json={"role": "user"}, headers=bearer(app, admin))

        assert demotion.status_code == 200
        assert call(client, route, admin.id, old_token) == 401, route
        demoted = session.get_one(User, other.id, populate_existing=True)
        assert call(client, route, admin.id, bearer(app, demoted)) == 403, route
