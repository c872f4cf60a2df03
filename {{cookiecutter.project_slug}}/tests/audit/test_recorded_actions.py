"""The audit log has profile changes, exports and what admins read; an export shows what others did to the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit import service
from app.audit.models import AuditLog
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import bearer, make_user
from tests.unique_values import unique_number

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F65")]

AuditEntries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def admin(session: Session) -> User:
    return make_user(session, role="admin")


def test_change_of_the_profile_is_recorded_without_values(
    client: FlaskClient, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    client.patch("/api/v1/users/me", json={"display_name": "Ada"}, headers=headers)

    (entry,) = audit_entries()
    assert (entry.action, entry.actor_id, entry.target_id) == ("user.profile_changed", user.id, str(user.id))
    assert entry.details == {"fields": ["display_name"]}


@pytest.mark.parametrize(("secret", "encrypted"), [({}, False), ({"X-Export-Passphrase": "open sesame, please"}, True)])
def test_export_is_recorded(
    client: FlaskClient, headers: dict[str, str], audit_entries: AuditEntries, secret: dict[str, str], encrypted: bool
) -> None:
    client.get("/api/v1/users/me/data-export", headers={**headers, **secret})

    (entry,) = audit_entries()
    assert (entry.action, entry.details) == ("user.data_exported", {"encrypted": encrypted})


@pytest.mark.parametrize(
    ("path", "name", "filters"),
    [
        ("users?email=ada@example.com&role=user", "users", {"role": "user", "email": "one address"}),
        ("users?suspended=true", "users", {"suspended": True}),
        ("audit-logs?target=user:7", "audit_logs", {"target": "user:7"}),
    ],
)
def test_read_of_an_admin_is_recorded_with_its_filters(
    app: Flask,
    client: FlaskClient,
    admin: User,
    audit_entries: AuditEntries,
    path: str,
    name: str,
    filters: dict[str, Any],
) -> None:
    response = client.get(f"/api/v1/admin/{path}", headers=bearer(app, admin))

    (entry,) = audit_entries()
    assert response.status_code == 200
    assert (entry.action, entry.actor_id) == ("admin.read", admin.id)
    assert (entry.target_type, entry.target_id, entry.details) == ("list", name, {"filters": filters})


def test_export_shows_what_others_did_to_the_user_but_not_who(session: Session, admin: User) -> None:
    user = make_user(session, id=unique_number())  # the log still has the entries of earlier tests
    origin, target = RequestOrigin("192.0.2.9", "of-the-admin"), ("user", user.id)
    service.record(session, "user.role_changed", actor_id=admin.id, target=target, origin=origin, new="admin")
    service.record(session, "user.signed_in", actor_id=user.id, target=target, origin=origin)
    service.record(session, "file.deleted", actor_id=admin.id, target=("file", user.id), origin=origin)
    session.commit()

    own, about = list(service.export(session, user.id))

    assert (own["action"], own["address"]) == ("user.signed_in", "192.0.2.9")
    assert (about["action"], about["details"]) == ("user.role_changed", {"new": "admin"})
    assert not {"actor_id", "address", "request_id"} & about.keys()
