"""Registration, login and the own profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit.models import AuditLog
from tests.accounts.factory import PASSWORD, bearer

REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/users/me"


@pytest.mark.req("A3")
def test_registered_user_logs_in_and_reads_profile(client: FlaskClient) -> None:
    registered = client.post(REGISTER, json={"email": "Ann@Example.org", "password": PASSWORD, "display_name": "Ann"})
    login = client.post(LOGIN, json={"email": "ann@example.ORG", "password": PASSWORD})
    token = login.get_json()["access_token"]
    profile = client.get(ME, headers={"Authorization": f"Bearer {token}"})

    assert registered.status_code == 201
    assert registered.get_json().keys() == {
        "id",
        "email",
        "role",
        "display_name",
        "processing_restricted",
        "created_at",
    }
    assert login.get_json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert login.get_json()["token_type"] == "Bearer"
    assert profile.get_json() == registered.get_json()
    assert profile.get_json()["email"] == "ann@example.org"


@pytest.mark.req("A3")
def test_registration_rejects_taken_email_regardless_of_case(client: FlaskClient) -> None:
    client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD})

    second = client.post(REGISTER, json={"email": "ANN@example.org", "password": PASSWORD})

    assert second.status_code == 409
    assert second.get_json()["errors"] == {"email": ["Already taken."]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "not an address"}, "email"),
        ({"email": f"{'a' * 250}@example.org"}, "email"),
        ({"email": None}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": ["a list of words"]}, "password"),
        ({"display_name": ""}, "display_name"),
        ({"display_name": "nul\x00byte"}, "display_name"),
        ({"role": "admin"}, "role"),
        ({"id": 1}, "id"),
        ({"is_admin": True}, "is_admin"),
    ],
)
@pytest.mark.req("A6")
def test_invalid_registration_names_the_field(
    client: FlaskClient, session: Session, change: dict[str, object], field: str
) -> None:
    response = client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD, **change})

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == [field]
    assert session.scalar(sa.select(sa.func.count(User.id))) == 0


def test_password_is_stored_only_as_argon2id_hash(client: FlaskClient, session: Session) -> None:
    client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD})

    stored = session.scalars(sa.select(User)).one()

    assert stored.password_hash.startswith("$argon2id$")
    assert PASSWORD not in stored.password_hash


@pytest.mark.parametrize("email", ["unknown@example.org", None])
def test_login_response_is_equal_for_unknown_email(client: FlaskClient, user: User, email: str | None) -> None:
    response = client.post(LOGIN, json={"email": email or user.email, "password": "wrong password"})

    assert response.status_code == 401
    assert response.get_json()["message"] == "The e-mail or the password is wrong."
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_audit_log_records_registration_and_login(
    client: FlaskClient, audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    client.post(REGISTER, json={"email": "ann@example.org", "password": PASSWORD})
    client.post(LOGIN, json={"email": "ann@example.org", "password": PASSWORD}, headers={"X-Request-ID": "from-a-test"})

    entries = audit_entries()

    assert [entry.action for entry in entries] == ["user.registered", "user.signed_in"]
    assert {(entry.target_type, entry.target_id) for entry in entries} == {("user", str(entries[0].actor_id))}
    assert entries[1].request_id == "from-a-test"
    assert entries[1].address == "127.0.0.1"


def test_audit_log_names_the_user_of_each_change_of_the_account(
    client: FlaskClient, app: Flask, user: User, audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    passwords = {"current_password": PASSWORD, "new_password": f"another {PASSWORD}"}
    statuses = [
        client.post("/api/v1/auth/change-password", json=passwords, headers=bearer(app, user)).status_code,
        client.post("/api/v1/auth/change-password", json=passwords, headers=bearer(app, user)).status_code,
        client.post("/api/v1/auth/logout", json={"everywhere": True}, headers=bearer(app, user)).status_code,
    ]

    entries = audit_entries()

    assert statuses == [204, 403, 204]
    assert [entry.action for entry in entries] == [
        "user.password_changed",
        "user.password_change_failed",
        "user.signed_out",
    ]
    assert {(entry.actor_id, entry.target_type, entry.target_id) for entry in entries} == {
        (user.id, "user", str(user.id))
    }


def test_deleted_account_cannot_read_its_profile(app: Flask, client: FlaskClient, session: Session, user: User) -> None:
    headers = bearer(app, user)
    session.delete(user)
    session.commit()

    assert client.get(ME, headers=headers).status_code == 401


@pytest.mark.req("A2")
def test_profile_change_keeps_omitted_fields(app: Flask, client: FlaskClient, user: User) -> None:
    headers = bearer(app, user)

    changed = client.patch(ME, headers=headers, json={"display_name": "Ann"})
    unchanged = client.patch(ME, headers=headers, json={})
    cleared = client.patch(ME, headers=headers, json={"display_name": None})

    assert [response.get_json()["display_name"] for response in (changed, unchanged, cleared)] == ["Ann", "Ann", None]
    assert client.get(ME, headers=headers).get_json() == cleared.get_json()


@pytest.mark.parametrize("field", ["id", "role", "email", "password_hash", "created_at"])
@pytest.mark.req("A2")
def test_profile_change_rejects_other_fields(
    app: Flask, client: FlaskClient, session: Session, user: User, field: str
) -> None:
    before = getattr(user, field)

    response = client.patch(ME, headers=bearer(app, user), json={field: "admin"})

    session.expire_all()
    assert response.get_json()["errors"] == {field: ["Unknown field."]}
    assert getattr(user, field) == before
