"""Tests of the erasure of a user: only the tombstone and the audit log remain, and other users keep their data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.accounts.service import LastAdmin, NoSuchUser
from app.audit.models import AuditLog
from app.platform.database.base import db, utc_now
from app.platform.storage import Storage, StorageUnavailable
from app.platform.web.client_address import RequestOrigin
from app.platform.web.route_policy import policy_of
from app.privacy import service
from app.privacy.models import Erasure
from app.privacy.tasks import sync_tombstones
from tests.accounts.factory import bearer, make_user
from tests.privacy.person_factory import create_person_with_data, personal_tables, tables_with_rows

pytestmark = pytest.mark.usefixtures("storage")

ME = "/api/v1/users/me"
ADMIN_ONLY = "/api/v1/admin/users"  # does not read the account: 403 for a user's valid session, 401 for a revoked one
REGISTRATION = {"email": "ada@example.com", "password": "correct horse battery staple"}
NO_ORIGIN = RequestOrigin(None, None)
Entries = Callable[[], Sequence[AuditLog]]


@pytest.mark.req("P3")
def test_erasure_deletes_all_rows_of_one_user(app: Flask, client: FlaskClient, session: Session) -> None:
    person, other = create_person_with_data(app, session), create_person_with_data(app, session)

    response = client.delete(ME, headers=bearer(app, session.get_one(User, person.user_id)))

    assert (response.status_code, response.data) == (204, b"")
    assert tables_with_rows(session, person) == {"audit_logs"}  # append-only
    assert tables_with_rows(session, other) == {table.name for table in personal_tables()}


@pytest.mark.req("P3")
def test_tombstone_is_stored_twice_without_personal_data(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str], storage: Storage
) -> None:
    user_id, created_at, before = user.id, user.created_at, utc_now()

    client.delete(ME, headers=headers)

    erasure = session.scalars(sa.select(Erasure)).one()
    (key,) = storage.list_keys("erasures/")
    stored = json.load(storage.open(key))
    signature = stored.pop("hmac"), stored.pop("key_id")
    assert (erasure.user_id, erasure.user_created_at) == (user_id, created_at)
    assert before <= erasure.erased_at <= utc_now()
    assert erasure.stored_at is not None
    assert (len(signature[0]), signature[1]) == (64, erasure.stored_key_id)
    assert key == f"erasures/{user_id}-{created_at:%Y%m%dT%H%M%S%f}Z.json"
    assert stored == {
        "user_id": user_id,
        "user_created_at": created_at.isoformat(),
        "erased_at": erasure.erased_at.isoformat(),
    }


@pytest.mark.req("P3", "P4")
def test_erasure_is_audited(client: FlaskClient, user: User, headers: dict[str, str], audit_entries: Entries) -> None:
    user_id = user.id

    client.delete(ME, headers={**headers, "X-Request-ID": "erased-by-a-test"})

    (entry,) = audit_entries()
    assert (entry.action, entry.actor_id, entry.target_id) == ("user.erased", user_id, str(user_id))
    assert (entry.address, entry.request_id) == ("127.0.0.1", "erased-by-a-test")


@pytest.mark.req("A2", "P3")
def test_erasure_revokes_every_session_of_the_user(
    app: Flask, client: FlaskClient, user: User, other_user: User, headers: dict[str, str]
) -> None:
    second_session, other_headers = bearer(app, user), bearer(app, other_user)

    client.delete(ME, headers=headers)

    assert [client.get(ADMIN_ONLY, headers=sent).status_code for sent in (headers, second_session)] == [401, 401]
    assert client.delete(ME, headers=second_session).status_code == 401
    assert client.get(ADMIN_ONLY, headers=other_headers).status_code == 403


def test_task_repeats_the_revocation_of_sessions(
    app: Flask, client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    revoked: list[list[int]] = []
    monkeypatch.setattr("app.privacy.views.sessions.revoke", lambda ids: revoked.append(list(ids)))

    client.delete(ME, headers=headers)
    with app.app_context():
        sync_tombstones()

    assert len(revoked[0]) == 1
    assert revoked == [revoked[0], revoked[0]]


@pytest.mark.parametrize("endpoint", ["v1_privacy.erase", "v2_privacy.erase"])
def test_erasure_has_no_scope_for_api_keys(app: Flask, endpoint: str) -> None:
    assert policy_of(app.view_functions[endpoint]).scope == ""


@pytest.mark.req("P3")
def test_erasure_rejects_the_only_admin(app: Flask, client: FlaskClient, session: Session) -> None:
    headers = bearer(app, make_user(session, role="admin"))
    make_user(session)

    response = client.delete(ME, headers=headers)

    assert response.status_code == 409
    assert response.get_json()["message"] == "You are the only admin: make another user an admin first."
    assert client.get(ME, headers=headers).status_code == 200
    assert session.scalars(sa.select(Erasure)).all() == []


def test_erasure_accepts_one_of_two_admins(app: Flask, client: FlaskClient, session: Session) -> None:
    headers = bearer(app, make_user(session, role="admin"))
    make_user(session, role="admin")

    assert client.delete(ME, headers=headers).status_code == 204


def test_concurrent_erasures_keep_one_admin(app: Flask, session: Session) -> None:
    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows; production does not support it")
    admins = [make_user(session, role="admin").id for _ in range(2)]
    results: list[object] = []
    both_ready = Barrier(2)
    engine = session.get_bind()

    def erase(user_id: int) -> None:
        with app.app_context(), Session(engine) as own_session:
            both_ready.wait(60)
            try:
                results.append(service.begin_erasure(own_session, user_id, origin=NO_ORIGIN))
            except LastAdmin as error:
                results.append(error)

    threads = [Thread(target=erase, args=(user_id,)) for user_id in admins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(type(result).__name__ for result in results) == ["Erasure", "LastAdmin"]


def test_erasure_of_an_unknown_user_raises(session: Session) -> None:
    with pytest.raises(NoSuchUser):
        service.begin_erasure(session, 4711, origin=NO_ORIGIN)


@pytest.mark.req("P3")
def test_erasure_without_storage_writes_the_tombstone_later(
    app: Flask,
    client: FlaskClient,
    session: Session,
    headers: dict[str, str],
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as unavailable:
        unavailable.setattr(storage, "put", fail)
        response = client.delete(ME, headers=headers)
    keys_before_the_task = list(storage.list_keys("erasures/"))
    with app.app_context():
        sync_tombstones()
        sync_tombstones()

    assert response.status_code == 204
    assert session.scalars(sa.select(User)).all() == []
    assert keys_before_the_task == []
    assert len(list(storage.list_keys("erasures/"))) == 1
    assert isinstance(session.scalars(sa.select(Erasure.stored_at)).one(), datetime)


@pytest.mark.req("P3", "P4")
def test_erasure_tombstone_and_audit_entry_are_one_transaction(
    app: Flask, client: FlaskClient, headers: dict[str, str], audit_entries: Entries
) -> None:
    seen: set[tuple[int, int, int]] = set()
    with app.app_context():
        engine = db.engine

    def observe(*_: object) -> None:
        with Session(engine) as other_session:
            users = other_session.scalar(sa.select(sa.func.count(User.id))) or 0
            erasures = other_session.scalar(sa.select(sa.func.count(Erasure.id))) or 0
            seen.add((users, erasures, len(audit_entries())))

    sa.event.listen(engine, "commit", observe)  # called just before each commit
    client.delete(ME, headers=headers)
    sa.event.remove(engine, "commit", observe)
    observe()

    assert seen == {(1, 0, 0), (1, 1, 1), (0, 1, 1)}
