"""Suspended users: their access ends at once, and no sign-in or new password gives it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import service, suspension, tasks, user_sessions
from app.accounts.models import User, UserSession
from app.accounts.user_sessions import Lifetime
from app.audit.models import AuditLog
from app.platform.database.base import db, utc_now
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import PASSWORD, bearer, make_user
from tests.accounts.samples import create_reset_body
from tests.locks import waits_for_lock
from tests.servers import wait_until
from tests.servers.smtp import Mailbox

AUTH, ME, USERS = "/api/v1/auth", "/api/v1/users/me", "/api/v1/admin/users"
NEW = "another horse, another staple"
ORIGIN = RequestOrigin("192.0.2.1", "a-test")
LIFETIME = Lifetime(timedelta(days=1), timedelta(days=2))

AuditEntries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def admin(session: Session) -> User:
    return make_user(session, role="admin")


@pytest.fixture
def headers(app: Flask, admin: User) -> dict[str, str]:
    return bearer(app, admin)


def login(client: FlaskClient, user: User, password: str = PASSWORD) -> TestResponse:
    return client.post(f"{AUTH}/login", json={"email": user.email, "password": password})


def suspend(client: FlaskClient, user: User, headers: dict[str, str], action: str = "suspend") -> TestResponse:
    return client.post(f"{USERS}/{user.id}/{action}", headers=headers)


@pytest.mark.req("A10")
def test_suspension_ends_sessions(
    app: Flask, client: FlaskClient, session: Session, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    pair = login(client, user).get_json()
    access = {"Authorization": f"Bearer {pair['access_token']}"}
    before = client.get(ME, headers=access).status_code
    start = len(audit_entries())

    response = suspend(client, user, headers)

    refreshed = client.post(f"{AUTH}/refresh", json={"refresh_token": pair["refresh_token"]})
    assert (response.status_code, response.get_json()["suspended_at"] is None) == (200, False)
    assert (before, client.get(ME, headers=access).status_code) == (200, 401)
    assert refreshed.status_code == 401
    assert [entry.action for entry in audit_entries()[start:]] == ["user.suspended"]


@pytest.mark.req("A10")
def test_only_the_right_password_shows_the_suspension(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    suspend(client, user, headers)

    wrong, right = login(client, user, "a wrong password"), login(client, user)

    assert (wrong.status_code, wrong.get_json()["detail"]) == (401, "The e-mail or the password is wrong.")
    assert right.status_code == 403
    assert right.get_json()["detail"] == "This account is suspended. Contact the operators of this service."
    assert session.scalar(sa.select(sa.func.count()).where(UserSession.user_id == user.id)) == 0
    assert audit_entries()[-1].action == "user.sign_in_refused"


@pytest.mark.req("A10")
def test_unsuspended_user_signs_in_but_earlier_access_stays_invalid(
    client: FlaskClient, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    access = {"Authorization": f"Bearer {login(client, user).get_json()['access_token']}"}
    suspend(client, user, headers)

    response = suspend(client, user, headers, "unsuspend")

    assert (response.status_code, response.get_json()["suspended_at"]) == (200, None)
    assert audit_entries()[-1].action == "user.unsuspended"
    assert login(client, user).status_code == 200
    assert client.get(ME, headers=access).status_code == 401


@pytest.mark.req("A10")
def test_repeated_requests_change_nothing(
    client: FlaskClient, user: User, headers: dict[str, str], audit_entries: AuditEntries
) -> None:
    results = [
        (suspend(client, user, headers, action).get_json()["suspended_at"], len(audit_entries()))
        for action in ("unsuspend", "suspend", "suspend")
    ]

    assert results[0] == (None, 0)
    assert results[1] == results[2]


@pytest.mark.req("A10")
def test_admin_cannot_suspend_own_account(client: FlaskClient, admin: User, headers: dict[str, str]) -> None:
    response = suspend(client, admin, headers)

    assert (response.status_code, response.get_json()["detail"]) == (
        409,
        "You cannot suspend yourself. Ask another admin.",
    )
    assert client.get(ME, headers=headers).status_code == 200


@pytest.mark.req("A10")
def test_last_admin_cannot_be_suspended(app: Flask, session: Session, admin: User, user: User) -> None:
    with app.app_context(), pytest.raises(service.LastAdmin):  # the actor has just lost the role
        suspension.suspend(session, admin.id, origin=ORIGIN, actor_id=user.id)


@pytest.mark.req("A10")
def test_suspended_admin_is_not_the_admin_that_remains(
    client: FlaskClient, session: Session, admin: User, headers: dict[str, str]
) -> None:
    suspend(client, make_user(session, role="admin"), headers)

    demoted = client.put(f"{USERS}/{admin.id}/role", json={"role": "user"}, headers=headers)
    erased = client.delete(ME, headers=headers)

    assert [demoted.status_code, erased.status_code] == [409, 409]


@pytest.mark.req("A10")
def test_other_users_cannot_suspend(app: Flask, client: FlaskClient, user: User, other_user: User) -> None:
    statuses = [
        suspend(client, other_user, bearer(app, user), action).status_code for action in ("suspend", "unsuspend")
    ]

    assert statuses == [403, 403]


@pytest.mark.req("A10")
def test_new_password_is_refused(
    app: Flask, client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    with app.app_context():
        body = {**create_reset_body(app, session, user), "new_password": NEW}
    suspend(client, user, headers)

    reset = client.post(f"{AUTH}/reset-password", json=body)
    forced = client.post(f"{USERS}/{user.id}/reset-password", headers=headers)

    assert (reset.status_code, forced.status_code) == (401, 409)
    suspend(client, user, headers, "unsuspend")
    assert login(client, user).status_code == 200  # with the old password


@pytest.mark.req("A10")
def test_suspended_user_gets_no_reset_email(
    environment: dict[str, str], client: FlaskClient, mailbox: Mailbox, user: User, headers: dict[str, str]
) -> None:
    mail_app = create_app({**environment, **mailbox.environment})
    suspend(client, user, headers)

    with mail_app.app_context():
        tasks.send_reset_mail(user.email)

    assert mailbox.messages == []


@pytest.mark.req("A10")
def test_users_are_filtered_by_suspension(
    client: FlaskClient, session: Session, admin: User, user: User, headers: dict[str, str]
) -> None:
    suspended = make_user(session, suspended_at=utc_now())

    found = {
        value: {item["id"] for item in client.get(f"{USERS}?suspended={value}", headers=headers).get_json()["items"]}
        for value in ("true", "false")
    }

    assert found == {"true": {suspended.id}, "false": {admin.id, user.id}}
    assert client.get(f"{USERS}?suspended=1", headers=headers).status_code == 422


@pytest.fixture
def _row_locks(session: Session) -> None:
    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows; production does not support it")


@pytest.mark.usefixtures("_row_locks")
@pytest.mark.req("A10")
def test_login_fails_if_the_user_is_suspended_meanwhile(
    app: Flask, session: Session, admin: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, email = user.id, user.email

    def suspend_and_verify(*_: object) -> bool:
        with Session(session.get_bind()) as another:
            suspension.suspend(another, user_id, origin=ORIGIN, actor_id=admin.id)
        return True

    monkeypatch.setattr(service, "verify_password", suspend_and_verify)
    with app.app_context(), pytest.raises(service.Suspended):
        service.login(db.session(), email=email, password=PASSWORD, lifetime=LIFETIME, origin=ORIGIN)


@pytest.mark.usefixtures("_row_locks")
@pytest.mark.req("A10")
def test_session_of_a_login_in_progress_ends(
    app: Flask, session: Session, admin: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suspension begins after the login has locked the user, and before its session is committed."""
    user_id, email, admin_id = user.id, user.email, admin.id
    suspensions: list[Future[Any]] = []
    with app.app_context():
        engine = db.engine

    def suspend_user() -> Sequence[int]:
        with app.app_context(), Session(engine) as another:
            return suspension.suspend(another, user_id, origin=ORIGIN, actor_id=admin_id)[1]

    with ThreadPoolExecutor(1) as pool, app.app_context():

        def create_during_suspension(*arguments: Any) -> UserSession:
            suspensions.append(pool.submit(suspend_user))
            assert wait_until(lambda: waits_for_lock(engine), 60)
            return user_sessions.create_session(*arguments)

        monkeypatch.setattr(service, "create_session", create_during_suspension)
        result = service.login(db.session(), email=email, password=PASSWORD, lifetime=LIFETIME, origin=ORIGIN)
        ended = suspensions[0].result()

    assert result is not None
    assert result[1] is not None
    assert ended == [result[1].id]
