"""An erasure ends all access at once; its data is deleted in portions, by a task if the request is too short."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
from app.accounts.service import NoSuchUser
from app.audit.models import AuditLog
from app.platform.personal_data import PersonalDataSource
from app.platform.security import sessions
from app.platform.web.client_address import RequestOrigin
from app.privacy import service
from app.privacy.models import Erasure
from app.privacy.tasks import reapply as reapply_task
from tests.accounts.factory import bearer, make_user
from tests.privacy.person_factory import create_person_with_data, tables_with_rows

pytestmark = [pytest.mark.usefixtures("storage"), pytest.mark.req("P3")]

ME = "/api/v1/users/me"
ADMIN_ONLY = "/api/v1/admin/users"  # does not read the account: 403 for a user's valid session, 401 for a revoked one
REGISTRATION = {"email": "ada@example.com", "password": "correct horse battery staple"}
NO_ORIGIN = RequestOrigin(None, None)
Entries = Callable[[], Sequence[AuditLog]]


def test_begun_erasure_ends_every_access(
    app: Flask, client: FlaskClient, session: Session, audit_entries: Entries
) -> None:
    user = make_user(session, email="ada@example.com", role="admin", display_name="Ada")
    make_user(session, role="admin")
    headers = bearer(app, user)

    with app.app_context():
        erasure = service.begin_erasure(session, user.id, origin=NO_ORIGIN)

    session.expire_all()
    assert session.scalars(sa.select(UserSession.ended_at)).one() is not None
    assert user.email.endswith("@erased.invalid")
    assert (user.display_name, user.role, user.password_hash) == (None, "user", "")
    assert len(erasure.session_ids) == 1
    assert audit_entries()[-1].action == "user.erased"
    assert client.post("/api/v1/auth/register", json=REGISTRATION).status_code == 201
    with app.app_context():
        sessions.revoke(erasure.session_ids)
    assert client.get(ADMIN_ONLY, headers=headers).status_code == 401


@pytest.mark.fault("F54")
def test_erasure_that_takes_long_goes_on_in_a_task(
    app: Flask,
    client: FlaskClient,
    session: Session,
    headers: dict[str, str],
    audit_entries: Entries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = create_person_with_data(app, session)
    own_headers = bearer(app, session.get_one(User, person.user_id))
    started: list[bool] = []
    monkeypatch.setattr("app.privacy.views.ERASE_SECONDS", -1.0)
    monkeypatch.setattr(reapply_task, "try_delay", lambda: started.append(True))

    response = client.delete(ME, headers=own_headers)
    after_the_request = tables_with_rows(session, person)
    retried = client.delete(ME, headers=own_headers)
    with app.app_context():
        reapply_task()

    assert (response.status_code, response.get_json()) == (
        202,
        {"message": "Your account is closed. Its data is being deleted."},
    )
    assert retried.status_code == 401
    assert started == [True]
    assert "users" in after_the_request
    assert tables_with_rows(session, person) == {"audit_logs"}
    assert [entry.action for entry in audit_entries()].count("user.erased") == 1
    assert client.get(ME, headers=headers).status_code == 200


@pytest.mark.fault("F54")
def test_erasure_that_fails_half_way_goes_on_in_a_task(
    app: Flask, client: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = create_person_with_data(app, session)
    started: list[bool] = []
    monkeypatch.setattr(reapply_task, "try_delay", lambda: started.append(True))

    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("DELETE", {}, Exception("a lock timeout"))

    with monkeypatch.context() as failing:
        failing.setattr("app.privacy.service.accounts.delete", fail)
        response = client.delete(ME, headers=bearer(app, session.get_one(User, person.user_id)))
    with app.app_context():
        reapply_task()

    assert response.status_code == 202
    assert started == [True]
    assert tables_with_rows(session, person) == {"audit_logs"}


def test_every_portion_is_committed_and_can_be_the_last(session: Session, user: User) -> None:
    def erase(session: Session, user_id: int) -> Iterator[None]:
        for name in ("first", "second"):
            session.get_one(User, user_id).display_name = name
            yield

    source = PersonalDataSource((), lambda *_: None, erase)

    finished = service.finish_erasure(session, user.id, [source], deadline=time.monotonic())

    session.rollback()
    session.refresh(user)
    assert (finished, user.display_name) == (False, "first")


def test_erasure_begins_once(app: Flask, session: Session, user: User) -> None:
    with app.app_context():
        service.begin_erasure(session, user.id, origin=NO_ORIGIN)
        with pytest.raises(NoSuchUser):
            service.begin_erasure(session, user.id, origin=NO_ORIGIN)


def test_kept_admin_can_be_erased_later(app: Flask, client: FlaskClient, session: Session) -> None:
    admin = make_user(session, role="admin")
    session.add(Erasure(user_id=admin.id, user_created_at=admin.created_at, session_ids=[]))
    make_user(session, role="admin")

    response = client.delete(ME, headers=bearer(app, admin))

    assert response.status_code == 204


@pytest.mark.fault("F51", "F56")
def test_admins_do_not_see_a_user_that_is_being_erased(app: Flask, client: FlaskClient, session: Session) -> None:
    user, admin = make_user(session), make_user(session, role="admin")
    with app.app_context():
        service.begin_erasure(session, user.id, origin=NO_ORIGIN)
    headers = bearer(app, admin)

    listed = client.get(ADMIN_ONLY, headers=headers).get_json()["items"]
    promoted = client.put(f"{ADMIN_ONLY}/{user.id}/role", json={"role": "admin"}, headers=headers)
    reset = client.post(f"{ADMIN_ONLY}/{user.id}/reset-password", headers=headers)

    assert [item["id"] for item in listed] == [admin.id]
    assert (promoted.status_code, reset.status_code) == (404, 404)


def test_profile_of_a_user_that_is_being_erased_cannot_be_changed(
    app: Flask, client: FlaskClient, user: User, headers: dict[str, str], session: Session
) -> None:
    with app.app_context():
        service.begin_erasure(session, user.id, origin=NO_ORIGIN)  # the sessions are not revoked yet

    response = client.patch(ME, json={"display_name": "Ada"}, headers=headers)

    assert response.status_code == 401


def test_database_error_after_the_begin_is_no_error_response(
    app: Flask, client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("UPDATE", {}, Exception("a lock timeout"))

    monkeypatch.setattr("app.privacy.tombstones.TombstoneStore.write", fail)

    assert client.delete(ME, headers=headers).status_code == 204


def test_address_of_erased_users_cannot_be_registered(client: FlaskClient) -> None:
    response = client.post("/api/v1/auth/register", json={**REGISTRATION, "email": "ada@erased.invalid"})

    assert (response.status_code, list(response.get_json()["errors"])) == (422, ["email"])
