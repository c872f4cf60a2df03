"""Keys are revoked when the password changes or all sessions end, and by admins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.api_keys.models import ApiKey
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.accounts.samples import create_reset_body
from tests.api_keys.factory import make_key
from tests.pages import all_items

AUTH, ADMIN_KEYS, ME = "/api/v1/auth", "/api/v1/admin/api-keys", "/api/v1/users/me"
NEW = "another horse, another staple"

AuditEntries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def admin(session: Session) -> User:
    return make_user(session, role="admin")


def change_password(app: Flask, session: Session, user: User, admin: User) -> int:
    del session, admin
    body = {"current_password": PASSWORD, "new_password": NEW}
    return app.test_client().post(f"{AUTH}/change-password", headers=bearer(app, user), json=body).status_code


def reset_password(app: Flask, session: Session, user: User, admin: User) -> int:
    del admin
    with app.app_context():
        body = {**create_reset_body(app, session, user), "new_password": NEW}
    return app.test_client().post(f"{AUTH}/reset-password", json=body).status_code


def logout_everywhere(app: Flask, session: Session, user: User, admin: User) -> int:
    del session, admin
    return app.test_client().post(f"{AUTH}/logout", headers=bearer(app, user), json={"everywhere": True}).status_code


def force_reset(app: Flask, session: Session, user: User, admin: User) -> int:
    del session
    path = f"/api/v1/admin/users/{user.id}/reset-password"
    return app.test_client().post(path, headers=bearer(app, admin)).status_code


def suspend(app: Flask, session: Session, user: User, admin: User) -> int:
    del session
    return app.test_client().post(f"/api/v1/admin/users/{user.id}/suspend", headers=bearer(app, admin)).status_code


EVENTS = (change_password, reset_password, logout_everywhere, force_reset, suspend)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.fault("F3")
@pytest.mark.req("A2")
def test_event_revokes_the_keys_of_the_user(
    app: Flask,
    client: FlaskClient,
    session: Session,
    user: User,
    other_user: User,
    admin: User,
    event: Callable[..., int],
) -> None:
    keys = [make_key(session, owner, "profile:read")[1] for owner in (user, user, other_user)]
    before = [client.get(ME, headers={"X-API-Key": key}).status_code for key in keys]

    status = event(app, session, user, admin)

    assert status in (200, 202, 204)
    assert before == [200, 200, 200]
    assert [client.get(ME, headers={"X-API-Key": key}).status_code for key in keys] == [401, 401, 200]


@pytest.mark.fault("F3")
@pytest.mark.req("P4")
def test_audit_log_names_the_revoked_keys_and_who_did_it(
    app: Flask, session: Session, user: User, admin: User, audit_entries: AuditEntries
) -> None:
    ids = [make_key(session, user, "profile:read")[0].id for _ in range(2)]
    make_key(session, user, "profile:read", revoked_at=utc_now())

    force_reset(app, session, user, admin)

    (entry,) = [entry for entry in audit_entries() if entry.action == "api_keys.revoked"]
    assert (entry.actor_id, entry.target_id, entry.details) == (admin.id, str(user.id), {"keys": ids})


@pytest.mark.req("A10")
def test_unsuspended_user_needs_new_keys(
    app: Flask, client: FlaskClient, session: Session, user: User, admin: User
) -> None:
    _, key = make_key(session, user, "profile:read")
    suspend(app, session, user, admin)

    client.post(f"/api/v1/admin/users/{user.id}/unsuspend", headers=bearer(app, admin))

    assert client.get(ME, headers={"X-API-Key": key}).status_code == 401


@pytest.mark.req("A2")
def test_logout_of_one_session_keeps_the_keys(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    _, key = make_key(session, user, "profile:read")

    client.post(f"{AUTH}/logout", headers=bearer(app, user))

    assert client.get(ME, headers={"X-API-Key": key}).status_code == 200


@pytest.mark.req("A2")
def test_failed_events_keep_the_keys(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    _, key = make_key(session, user, "profile:read")
    body = {"current_password": "wrong", "new_password": NEW}

    assert client.post(f"{AUTH}/change-password", headers=bearer(app, user), json=body).status_code == 403

    assert client.get(ME, headers={"X-API-Key": key}).status_code == 200


@pytest.mark.fault("F3")
@pytest.mark.req("A2", "A5")
def test_admin_lists_the_keys_of_all_users(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User, admin: User
) -> None:
    time = utc_now()
    keys = [
        make_key(session, owner, "profile:read", created_at=time - timedelta(hours=age), **fields)[0]
        for owner, age, fields in [(user, 1, {}), (other_user, 2, {}), (user, 3, {"revoked_at": time})]
    ]
    headers = bearer(app, admin)

    items = all_items(client, ADMIN_KEYS, headers, limit=2)
    of_user = client.get(f"{ADMIN_KEYS}?user_id={user.id}", headers=headers).get_json()["items"]

    assert [(item["id"], item["user_id"]) for item in items] == [(key.id, key.user_id) for key in keys]
    assert [item["revoked_at"] is None for item in items] == [True, True, False]
    assert [item["id"] for item in of_user] == [keys[0].id, keys[2].id]
    assert not any("key" in item or "key_hash" in item for item in items)


@pytest.mark.req("P4")
def test_read_of_an_admin_is_recorded_with_its_filters(
    app: Flask, client: FlaskClient, admin: User, audit_entries: AuditEntries
) -> None:
    client.get(f"{ADMIN_KEYS}?user_id=7&limit=3", headers=bearer(app, admin))

    (entry,) = audit_entries()
    assert (entry.action, entry.target_id, entry.details) == ("admin.read", "api_keys", {"filters": {"user_id": "7"}})


@pytest.mark.fault("F3")
@pytest.mark.req("A2", "A5", "P4")
def test_admin_revokes_a_key_of_any_user(
    app: Flask, client: FlaskClient, session: Session, user: User, admin: User, audit_entries: AuditEntries
) -> None:
    key, text = make_key(session, user, "profile:read")
    headers = bearer(app, admin)

    statuses = [client.delete(f"{ADMIN_KEYS}/{key.id}", headers=headers).status_code for _ in range(2)]

    session.refresh(key)
    (entry,) = audit_entries()
    assert statuses == [204, 404]
    assert key.revoked_at is not None
    assert client.get(ME, headers={"X-API-Key": text}).status_code == 401
    assert (entry.action, entry.actor_id, entry.target_id) == ("api_key.revoked", admin.id, str(key.id))


@pytest.mark.req("A5")
def test_other_users_cannot_use_the_admin_routes(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User
) -> None:
    key, _ = make_key(session, user, "profile:read")
    headers = bearer(app, other_user)

    responses = [client.get(ADMIN_KEYS, headers=headers), client.delete(f"{ADMIN_KEYS}/{key.id}", headers=headers)]

    assert [response.status_code for response in responses] == [403, 403]
    assert session.query(ApiKey).filter(ApiKey.revoked_at.is_(None)).count() == 1
