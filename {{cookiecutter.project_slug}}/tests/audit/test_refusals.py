"""Calls of admin routes by other users are in the audit log, up to a limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import User
from app.audit.models import AuditLog
from app.audit.refusals import AUDIT_KEY
from app.platform.api.rate_limits import limiter_of
from tests.routes import routes

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F65")]

AuditEntries = Callable[[], Sequence[AuditLog]]


def test_refused_call_of_an_admin_route_is_recorded(
    client: FlaskClient, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    response = client.put("/api/v1/admin/users/7/role", json={"role": "admin"}, headers=headers)

    (entry,) = audit_entries()
    assert response.status_code == 403
    assert (entry.action, entry.actor_id, entry.target_id) == ("admin.refused", user.id, str(user.id))
    assert entry.details == {"route": "PUT /api/v1/admin/users/<int:user_id>/role"}
    assert entry.address == "127.0.0.1"


def test_every_admin_route_records_refusals(
    app: Flask, client: FlaskClient, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    admin_routes = [route for route in routes(app) if route.access == "admin" and "/v1/" in route.rule.rule]
    for route in admin_routes:
        client.open(route.path(), method=route.method, headers=headers)

    assert [entry.details["route"] for entry in audit_entries()] == [str(route) for route in admin_routes]


def test_refusals_over_the_limit_are_not_recorded(
    app: Flask,
    client: FlaskClient,
    headers: dict[str, str],
    audit_entries: AuditEntries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(limiter_of(app), "count", lambda *key: counted.append(key))

    response = client.get("/api/v1/admin/users", headers=headers)

    assert (response.status_code, audit_entries()) == (403, [])
    assert counted == [("RATELIMIT_REFUSED_ADMIN_AUDIT", AUDIT_KEY)]


def test_refusals_without_a_session_are_not_recorded(client: FlaskClient, audit_entries: AuditEntries) -> None:
    assert client.get("/api/v1/admin/users").status_code == 401
    assert audit_entries() == []
