"""Users, roles, resets and figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from app.database import now
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.locations.factory import make_location
from tests.servers.smtp import Mailbox, start_smtp

USERS, STATS, LOGIN = "/api/v1/admin/users", "/api/v1/admin/stats", "/api/v1/auth/login"
Audited = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def admin(session: Session) -> User:
    return make_user(session, role="admin")


@pytest.fixture
def headers(app: Flask, admin: User) -> dict[str, str]:
    return bearer(app, admin)


def listed(client: FlaskClient, headers: dict[str, str], query: str = "") -> list[Any]:
    items: list[Any] = client.get(f"{USERS}{query}", headers=headers).get_json()["items"]
    return items


@pytest.mark.req("A5")
def test_a_user_as_admins_see_it(client: FlaskClient, session: Session, headers: dict[str, str]) -> None:
    time = now()
    user = make_user(session, display_name="Ada")
    user.last_login_at = time
    session.commit()

    shown = listed(client, headers)[0]

    assert datetime.fromisoformat(shown.pop("created_at")) == user.created_at
    assert datetime.fromisoformat(shown.pop("updated_at")) == user.updated_at
    assert datetime.fromisoformat(shown.pop("last_login_at")) == time
    assert shown == {"id": user.id, "email": user.email, "role": "user", "display_name": "Ada"}


@pytest.mark.req("A5", "A6")
def test_users_are_listed_newest_first_in_pages(
    client: FlaskClient, session: Session, admin: User, headers: dict[str, str]
) -> None:
    time = now()
    ages = (1, 3, 2, 2, 5)  # two of the same time, across a page's edge
    made = [make_user(session) for _ in ages]
    for user, age in zip(made, ages, strict=True):
        user.created_at = time - timedelta(hours=age)
    session.commit()
    expected = [user.id for user in sorted([admin, *made], key=lambda user: (user.created_at, user.id), reverse=True)]

    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = client.get(USERS, query_string=query, headers=headers).get_json()
        seen += [item["id"] for item in body["items"]]
        if (cursor := body["next"]) is None:
            break

    assert seen == expected


@pytest.mark.req("A5")
def test_users_are_found_by_their_whole_address_and_by_role(
    client: FlaskClient, session: Session, admin: User, headers: dict[str, str]
) -> None:
    user = make_user(session, email="ada@example.org")
    make_user(session, email="another-ada@example.org")

    found = {
        query: [item["id"] for item in listed(client, headers, query)]
        for query in (
            "?email=Ada@Example.org",
            "?email=ada@example.com",
            "?role=admin",
            "?role=admin&email=ada@example.org",
        )
    }

    assert list(found.values()) == [[user.id], [], [admin.id], []]


@pytest.mark.parametrize(
    ("query", "field"), [("role=root", "role"), ("email=ada", "email"), ("role=", "role"), ("name=ada", "name")]
)
@pytest.mark.req("A6")
def test_a_bad_query_is_refused_by_field(client: FlaskClient, headers: dict[str, str], query: str, field: str) -> None:
    answer = client.get(f"{USERS}?{query}", headers=headers)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == [field]


@pytest.mark.req("A5", "P4")
def test_a_change_of_role_is_answered_with_the_user_and_told_in_the_audit_log(
    client: FlaskClient, admin: User, user: User, headers: dict[str, str], audited: Audited
) -> None:
    answer = client.put(
        f"{USERS}/{user.id}/role", json={"role": "admin"}, headers={**headers, "X-Request-ID": "promoting"}
    )

    (entry,) = audited()
    assert (answer.status_code, answer.get_json()["id"], answer.get_json()["role"]) == (200, user.id, "admin")
    assert (entry.action, entry.actor_id) == ("user.role_changed", admin.id)
    assert (entry.target_type, entry.target_id) == ("user", str(user.id))
    assert (entry.address, entry.request_id) == ("127.0.0.1", "promoting")
    assert entry.details == {"old": "user", "new": "admin"}


@pytest.mark.req("A5")
def test_a_role_that_somebody_has_already_changes_nothing(
    app: Flask, client: FlaskClient, admin: User, headers: dict[str, str], audited: Audited
) -> None:
    answer = client.put(f"{USERS}/{admin.id}/role", json={"role": "admin"}, headers=headers)

    assert answer.status_code == 200
    assert client.get(STATS, headers=headers).status_code == 200  # the session goes on
    assert audited() == []


@pytest.mark.req("A5")
def test_the_last_admin_stays_one(
    client: FlaskClient, session: Session, admin: User, headers: dict[str, str], audited: Audited
) -> None:
    answer = client.put(f"{USERS}/{admin.id}/role", json={"role": "user"}, headers=headers)

    session.refresh(admin)
    assert answer.status_code == 409
    assert answer.get_json()["message"] == "This is the last admin. Make somebody else an admin first."
    assert admin.role == "admin"
    assert client.get(STATS, headers=headers).status_code == 200
    assert audited() == []


@pytest.mark.parametrize(
    "body", [{}, {"role": "root"}, {"role": None}, {"role": ["admin"]}, {"role": "Admin"}], ids=str
)
@pytest.mark.req("A6")
def test_a_bad_role_is_refused(client: FlaskClient, user: User, headers: dict[str, str], body: dict[str, Any]) -> None:
    answer = client.put(f"{USERS}/{user.id}/role", json=body, headers=headers)

    assert answer.status_code == 422
    assert list(answer.get_json()["errors"]) == ["role"]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with start_smtp() as mailbox:
        yield mailbox


@pytest.fixture
def mailing(app: Flask, mailbox: Mailbox, environment: Mapping[str, str]) -> Iterator[FlaskClient]:
    """A client of an app with a mail server that sends mails where it stands."""
    settings = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(mailbox.port), "MAIL_USE_TLS": "false"}
    url = {"PUBLIC_BASE_URL": "https://service.example.org"}
    without_queue = {name: value for name, value in environment.items() if name != "REDIS_URL"}
    yield create_app({**without_queue, **settings, **url}).test_client()
    app.extensions["celery"].set_current()  # or else the next tests' tasks would go to this one's


@pytest.mark.req("A5", "A2")
def test_a_reset_makes_the_password_useless_ends_the_sessions_and_mails_a_link_to_a_new_one(
    app: Flask, mailing: FlaskClient, mailbox: Mailbox, user: User, headers: dict[str, str]
) -> None:
    old, new = {"email": user.email, "password": PASSWORD}, {"email": user.email, "password": "another horse"}
    session_of_user = bearer(app, user)

    answer = mailing.post(f"{USERS}/{user.id}/reset-password", headers=headers)
    before = (
        mailing.post(LOGIN, json=old).status_code,
        mailing.get("/api/v1/users/me", headers=session_of_user).status_code,
    )
    letter = mailbox.wait()
    token = re.search(r"#token=(\S+)", letter.get_content())
    assert token
    mailing.post("/api/v1/auth/reset-password", json={"token": token[1], "new_password": "another horse"})

    assert (answer.status_code, answer.get_json()) == (202, {"message": "A mail with a link is on its way."})
    assert before == (401, 401)
    assert letter["To"] == user.email
    assert [mailing.post(LOGIN, json=given).status_code for given in (old, new)] == [401, 200]


@pytest.mark.req("P4")
def test_a_reset_is_in_the_audit_log_without_anything_secret(
    client: FlaskClient, admin: User, user: User, headers: dict[str, str], audited: Audited
) -> None:
    client.post(f"{USERS}/{user.id}/reset-password", headers={**headers, "X-Request-ID": "resetting"})

    (entry,) = audited()
    assert (entry.action, entry.actor_id, entry.target_id) == ("user.password_reset_forced", admin.id, str(user.id))
    assert (entry.address, entry.request_id, entry.details) == ("127.0.0.1", "resetting", {})


@pytest.mark.req("A5", "A2")
def test_after_a_reset_no_token_of_the_user_is_good(
    app: Flask, client: FlaskClient, user: User, headers: dict[str, str]
) -> None:
    token = bearer(app, user)

    client.post(f"{USERS}/{user.id}/reset-password", headers=headers)

    assert client.get("/api/v1/users/me", headers=token).status_code == 401


@pytest.mark.req("A5")
def test_a_reset_says_when_the_mail_cannot_be_sent(
    client: FlaskClient, user: User, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RedisError("connection refused")

    monkeypatch.setattr(send_reset_mail, "apply_async", fail)
    answer = client.post(f"{USERS}/{user.id}/reset-password", headers=headers)

    assert answer.status_code == 503
    assert "the mail was not sent" in answer.get_json()["message"]
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"data": b"", "content_type": "application/json"}], ids=str)
def test_a_reset_takes_no_body(
    client: FlaskClient, user: User, headers: dict[str, str], options: dict[str, Any]
) -> None:
    answer = client.post(f"{USERS}/{user.id}/reset-password", headers=headers, **options)
    something = client.post(f"{USERS}/{user.id}/reset-password", headers=headers, json={"password": "x"})

    assert answer.status_code == (400 if "data" in options else 202)
    assert something.status_code == 422


@pytest.mark.req("A5")
def test_figures(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User, headers: dict[str, str]
) -> None:
    bearer(app, user)
    make_location(session, user)
    make_location(session, user, at=now() - timedelta(hours=23))
    make_location(session, user, at=now() - timedelta(hours=25))

    body = client.get(STATS, headers=headers).get_json()

    assert datetime.fromisoformat(body["at"]) <= now()
    assert body["features"]["accounts"] == {"users_user": 2, "users_admin": 1, "sessions": 2}
    assert body["features"]["locations"] == {"last_24_hours": 2}
