"""User administration: the list of users, roles and password resets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import RedisError
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.accounts.tasks import send_reset_mail
from app.audit.models import AuditLog
from app.platform.database.base import utc_now
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.pages import all_items
from tests.routes import routes
from tests.servers.smtp import Mailbox

USERS, LOGIN = "/api/v1/admin/users", "/api/v1/auth/login"
ROUTES = {
    "GET /admin/users": None,
    "PUT /admin/users/<int:user_id>/role": {"role": "admin"},
    "POST /admin/users/<int:user_id>/reset-password": None,
    "POST /admin/users/<int:user_id>/reset-totp": None,
    "POST /admin/users/<int:user_id>/change-email": {"email": "new@example.org"},
    "POST /admin/users/<int:user_id>/suspend": None,
    "POST /admin/users/<int:user_id>/unsuspend": None,
}  # with the body of a valid request
AuditEntries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def admin(session: Session) -> User:
    return make_user(session, role="admin")


@pytest.fixture
def headers(app: Flask, admin: User) -> dict[str, str]:
    return bearer(app, admin)


def list_users(client: FlaskClient, headers: dict[str, str], query: str = "") -> list[Any]:
    items: list[Any] = client.get(f"{USERS}{query}", headers=headers).get_json()["items"]
    return items


def test_user_administration_has_exactly_these_routes(app: Flask) -> None:
    paths = {f"{route.method} {route.rule.rule}" for route in routes(app) if "/admin/users" in route.rule.rule}

    assert paths == {route.replace(" ", f" /api/{version}") for route in ROUTES for version in ("v1", "v2")}


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.req("A5")
def test_admin_may_manage_users(client: FlaskClient, user: User, headers: dict[str, str], name: str) -> None:
    method, path = name.split(" ")

    response = client.open(
        f"/api/v1{path.replace('<int:user_id>', str(user.id))}", method=method, json=ROUTES[name], headers=headers
    )

    assert response.status_code == {"reset-password": 202, "reset-totp": 204}.get(path.rpartition("/")[2], 200)


@pytest.mark.parametrize("name", [name for name in ROUTES if "<" in name])
@pytest.mark.req("A5")
def test_unknown_user_is_not_found(client: FlaskClient, headers: dict[str, str], name: str) -> None:
    method, path = name.split(" ")

    response = client.open(
        f"/api/v1{path.replace('<int:user_id>', str(10**17))}", method=method, json=ROUTES[name], headers=headers
    )

    assert response.status_code == 404
    assert response.get_json()["message"] == "No user has this id."


@pytest.mark.req("A5")
def test_list_shows_every_field_of_a_user(client: FlaskClient, session: Session, headers: dict[str, str]) -> None:
    time = utc_now()
    user = make_user(session, display_name="Ada")
    user.last_login_at = time
    session.commit()

    shown = list_users(client, headers)[0]

    assert datetime.fromisoformat(shown.pop("created_at")) == user.created_at
    assert datetime.fromisoformat(shown.pop("updated_at")) == user.updated_at
    assert datetime.fromisoformat(shown.pop("last_login_at")) == time
    expected = {"id": user.id, "email": user.email, "role": "user", "display_name": "Ada"}
    assert shown == {**expected, "processing_restricted": False, "suspended_at": None}


@pytest.mark.req("A5", "A6")
def test_users_are_listed_newest_first_in_pages(
    client: FlaskClient, session: Session, admin: User, headers: dict[str, str]
) -> None:
    time = utc_now()
    ages = (1, 3, 2, 2, 5)  # the two of equal age are on different pages
    users = [make_user(session) for _ in ages]
    for user, age in zip(users, ages, strict=True):
        user.created_at = time - timedelta(hours=age)
    session.commit()
    expected = [user.id for user in sorted([admin, *users], key=lambda user: (user.created_at, user.id), reverse=True)]

    items = all_items(client, USERS, headers, limit=2)

    assert [item["id"] for item in items] == expected


@pytest.mark.req("A5")
def test_users_are_filtered_by_email_and_role(
    client: FlaskClient, session: Session, admin: User, headers: dict[str, str]
) -> None:
    user = make_user(session, email="ada@example.org")
    make_user(session, email="another-ada@example.org")

    results = {
        query: [item["id"] for item in list_users(client, headers, query)]
        for query in (
            "?email=Ada@Example.org",
            "?email=ada@example.com",
            "?role=admin",
            "?role=admin&email=ada@example.org",
        )
    }

    assert list(results.values()) == [[user.id], [], [admin.id], []]


@pytest.mark.parametrize(
    ("query", "field"), [("role=root", "role"), ("email=ada", "email"), ("role=", "role"), ("name=ada", "name")]
)
@pytest.mark.req("A6")
def test_invalid_query_names_the_field(client: FlaskClient, headers: dict[str, str], query: str, field: str) -> None:
    response = client.get(f"{USERS}?{query}", headers=headers)

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == [field]


@pytest.mark.req("A5", "P4")
def test_role_change_returns_the_user_and_is_audited(
    client: FlaskClient, admin: User, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    response = client.put(
        f"{USERS}/{user.id}/role", json={"role": "admin"}, headers={**headers, "X-Request-ID": "promoting"}
    )

    (entry,) = audit_entries()
    assert (response.status_code, response.get_json()["id"], response.get_json()["role"]) == (200, user.id, "admin")
    assert (entry.action, entry.actor_id) == ("user.role_changed", admin.id)
    assert (entry.target_type, entry.target_id) == ("user", str(user.id))
    assert (entry.address, entry.request_id) == ("127.0.0.1", "promoting")
    assert entry.details == {"old": "user", "new": "admin"}


@pytest.mark.req("A5")
def test_unchanged_role_keeps_the_session(
    app: Flask, client: FlaskClient, admin: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    response = client.put(f"{USERS}/{admin.id}/role", json={"role": "admin"}, headers=headers)

    assert response.status_code == 200
    assert audit_entries() == []
    assert client.get(USERS, headers=headers).status_code == 200  # the session is still active


@pytest.mark.req("A5")
def test_last_admin_cannot_be_demoted(
    client: FlaskClient, session: Session, admin: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    response = client.put(f"{USERS}/{admin.id}/role", json={"role": "user"}, headers=headers)

    session.refresh(admin)
    assert response.status_code == 409
    assert response.get_json()["message"] == "This is the last admin. Give another user the role admin first."
    assert admin.role == "admin"
    assert audit_entries() == []
    assert client.get(USERS, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"role": "root"}, {"role": None}, {"role": ["admin"]}, {"role": "Admin"}], ids=str
)
@pytest.mark.req("A6")
def test_invalid_role_is_rejected(
    client: FlaskClient, user: User, headers: dict[str, str], body: dict[str, Any]
) -> None:
    response = client.put(f"{USERS}/{user.id}/role", json=body, headers=headers)

    assert response.status_code == 422
    assert list(response.get_json()["errors"]) == ["role"]


@pytest.fixture
def mail_client(app: Flask, mailbox: Mailbox, environment: Mapping[str, str]) -> FlaskClient:
    """A client of an app with a mail server; without Redis, tasks run in the request."""
    without_queue = {name: value for name, value in environment.items() if name != "REDIS_URL"}
    return create_app({**without_queue, **mailbox.environment}).test_client()


@pytest.mark.req("A5", "A2")
def test_reset_invalidates_the_password_and_emails_a_link(
    app: Flask, mail_client: FlaskClient, mailbox: Mailbox, user: User, headers: dict[str, str]
) -> None:
    old, new = {"email": user.email, "password": PASSWORD}, {"email": user.email, "password": "another horse"}
    session_headers = bearer(app, user)

    response = mail_client.post(f"{USERS}/{user.id}/reset-password", headers=headers)
    statuses_before_new_password = (
        mail_client.post(LOGIN, json=old).status_code,
        mail_client.get("/api/v1/users/me", headers=session_headers).status_code,
    )
    email = mailbox.wait()
    token = re.search(r"#token=(\S+)", email.get_content())
    assert token
    mail_client.post("/api/v1/auth/reset-password", json={"token": token[1], "new_password": "another horse"})

    assert (response.status_code, response.get_json()) == (202, {"message": "An e-mail with a link is on its way."})
    assert statuses_before_new_password == (401, 401)
    assert email["To"] == user.email
    assert [mail_client.post(LOGIN, json=credentials).status_code for credentials in (old, new)] == [401, 200]


@pytest.mark.req("A5")
def test_reset_without_a_mail_server_says_so(client: FlaskClient, user: User, headers: dict[str, str]) -> None:
    response = client.post(f"{USERS}/{user.id}/reset-password", headers=headers)

    assert response.status_code == 202
    assert "set MAIL_SERVER" in response.get_json()["message"]


@pytest.mark.req("P4")
def test_reset_is_audited_without_secrets(
    client: FlaskClient, admin: User, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    client.post(f"{USERS}/{user.id}/reset-password", headers={**headers, "X-Request-ID": "resetting"})

    (entry,) = audit_entries()
    assert (entry.action, entry.actor_id, entry.target_id) == ("user.password_reset_forced", admin.id, str(user.id))
    assert (entry.address, entry.request_id, entry.details) == ("127.0.0.1", "resetting", {})


@pytest.mark.req("A5", "A2")
def test_reset_ends_the_sessions_of_the_user(
    app: Flask, client: FlaskClient, user: User, headers: dict[str, str]
) -> None:
    token = bearer(app, user)

    client.post(f"{USERS}/{user.id}/reset-password", headers=headers)

    assert client.get("/api/v1/users/me", headers=token).status_code == 401


@pytest.mark.req("A5")
def test_reset_reports_that_the_email_could_not_be_queued(
    client: FlaskClient, user: User, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RedisError("connection refused")

    monkeypatch.setattr(send_reset_mail, "apply_async", fail)
    response = client.post(f"{USERS}/{user.id}/reset-password", headers=headers)

    assert response.status_code == 503
    assert "the e-mail could not be queued" in response.get_json()["message"]
    assert int(response.headers["Retry-After"]) > 0


BODIES: list[tuple[dict[str, Any], int]] = [
    ({}, 202),
    ({"json": {}}, 202),
    ({"data": b"", "content_type": "application/json"}, 400),
    ({"json": {"password": "x"}}, 422),
]


@pytest.mark.parametrize(("options", "status"), BODIES, ids=str)
def test_reset_accepts_no_members_in_the_body(
    client: FlaskClient, user: User, headers: dict[str, str], options: dict[str, Any], status: int
) -> None:
    response = client.post(f"{USERS}/{user.id}/reset-password", headers=headers, **options)

    assert response.status_code == status
