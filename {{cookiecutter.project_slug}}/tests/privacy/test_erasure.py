"""Erasure: nothing is left of somebody but a tombstone and what was done, and nobody else loses anything."""

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

from app.accounts.administration import LastAdmin, NoSuchUser
from app.accounts.models import User, UserSession
from app.audit.models import AuditLog
from app.audit.service import Origin
from app.database import db, now
from app.locations.models import UserLocation
from app.personal_data import Holding
from app.privacy import service
from app.privacy.models import Erasure
from app.privacy.tasks import keep_tombstones
from app.storage import Storage, StorageUnavailable
from tests.accounts.factory import bearer, make_user
from tests.locations.factory import make_location
from tests.privacy.people import Person, make_person, personal_tables

ME = "/api/v1/users/me"
LOCATIONS = "/api/v1/locations"  # which does not look whether there is such an account
Entries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def headers(app: Flask, user: User, storage: Storage) -> dict[str, str]:
    return bearer(app, user)


def rows_left(session: Session, person: Person) -> set[str]:
    """The tables that still hold the row that was made for somebody."""
    session.rollback()
    return {
        table.name
        for table in personal_tables()
        if session.execute(sa.select(table.c.id).where(table.c.id == person.rows[table.name]["id"])).first()
    }


@pytest.mark.req("P3")
def test_nothing_is_left_in_any_table_and_others_keep_all(
    app: Flask, client: FlaskClient, session: Session, storage: Storage
) -> None:
    person, other = make_person(session), make_person(session)

    answer = client.delete(ME, headers=bearer(app, session.get_one(User, person.user_id)))

    assert (answer.status_code, answer.data) == (204, b"")
    assert rows_left(session, person) == {"audit_logs"}  # which only grows
    assert rows_left(session, other) == {table.name for table in personal_tables()}


def test_a_long_history_is_forgotten_in_parts(
    client: FlaskClient,
    session: Session,
    user: User,
    other_user: User,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.locations.service.PAGE", 2)
    for _ in range(5):
        make_location(session, user)
    kept = make_location(session, other_user).id

    answer = client.delete(ME, headers=headers)

    assert answer.status_code == 204
    assert session.scalars(sa.select(UserLocation.id)).all() == [kept]


@pytest.mark.req("P3")
def test_a_tombstone_stays_in_the_database_and_in_the_storage_and_tells_nothing_personal(
    client: FlaskClient, session: Session, user: User, headers: dict[str, str], storage: Storage
) -> None:
    user_id, created_at, before = user.id, user.created_at, now()

    client.delete(ME, headers=headers)

    erasure = session.scalars(sa.select(Erasure)).one()
    (key,) = storage.keys("erasures/")
    kept = json.load(storage.open(key))
    assert (erasure.user_id, erasure.user_created_at) == (user_id, created_at)
    assert before <= erasure.erased_at <= now()
    assert erasure.stored_at is not None
    assert key == f"erasures/{user_id}-{created_at:%Y%m%dT%H%M%S%f}Z.json"
    assert kept == {
        "user_id": user_id,
        "user_created_at": created_at.isoformat(),
        "erased_at": erasure.erased_at.isoformat(),
    }


@pytest.mark.req("P3", "P4")
def test_an_erasure_is_in_the_audit_log(
    client: FlaskClient, user: User, headers: dict[str, str], audited: Entries
) -> None:
    user_id = user.id

    client.delete(ME, headers={**headers, "X-Request-ID": "erased-by-a-test"})

    (entry,) = audited()
    assert (entry.action, entry.actor_id, entry.target_id) == ("user.erased", user_id, str(user_id))
    assert (entry.address, entry.request_id) == ("127.0.0.1", "erased-by-a-test")


@pytest.mark.req("A2", "P3")
def test_every_session_ends(
    app: Flask, client: FlaskClient, user: User, other_user: User, headers: dict[str, str]
) -> None:
    elsewhere, somebody_else = bearer(app, user), bearer(app, other_user)

    client.delete(ME, headers=headers)

    assert [client.get(LOCATIONS, headers=sent).status_code for sent in (headers, elsewhere)] == [401, 401]
    assert client.delete(ME, headers=elsewhere).status_code == 401
    assert client.get(LOCATIONS, headers=somebody_else).status_code == 200


def test_sessions_that_redis_was_not_told_of_are_told_of_again(
    app: Flask, client: FlaskClient, user: User, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[int]] = []
    monkeypatch.setattr("app.privacy.views.sessions.end", lambda ids: told.append(list(ids)))

    client.delete(ME, headers=headers)
    with app.app_context():
        keep_tombstones()

    assert len(told[0]) == 1
    assert told == [told[0], told[0]]


def test_api_keys_cannot_erase(client: FlaskClient, app: Flask, headers: dict[str, str], session: Session) -> None:
    made = client.post(
        "/api/v1/api-keys", json={"name": "everything", "scopes": ["profile:read", "files:write"]}, headers=headers
    )

    answer = client.delete(ME, headers={"X-API-Key": made.get_json()["key"]})

    assert answer.status_code == 403
    assert session.scalar(sa.select(sa.func.count(User.id))) == 1


@pytest.mark.req("P3")
def test_the_only_admin_cannot_leave_and_keeps_everything(
    app: Flask, client: FlaskClient, session: Session, storage: Storage
) -> None:
    admin = make_user(session, role="admin")
    headers = bearer(app, admin)
    make_user(session)

    answer = client.delete(ME, headers=headers)

    assert answer.status_code == 409
    assert answer.get_json()["message"] == "You are the only admin: make somebody else one first."
    assert client.get(ME, headers=headers).status_code == 200
    assert session.scalars(sa.select(Erasure)).all() == []


def test_an_admin_can_leave_while_there_is_another(
    app: Flask, client: FlaskClient, session: Session, storage: Storage
) -> None:
    headers = bearer(app, make_user(session, role="admin"))
    make_user(session, role="admin")

    assert client.delete(ME, headers=headers).status_code == 204


def test_of_two_last_admins_who_leave_at_the_same_time_one_stays(app: Flask, session: Session) -> None:
    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows; it is not for production")
    admins = [make_user(session, role="admin").id for _ in range(2)]
    results: list[object] = []
    both_ready = Barrier(2)
    engine = session.get_bind()

    def leave(user_id: int) -> None:
        with Session(engine) as own:
            both_ready.wait(10)
            try:
                results.append(service.erase(own, user_id, [], origin=Origin(None, None)))
            except LastAdmin as refusal:
                results.append(refusal)

    threads = [Thread(target=leave, args=(user_id,)) for user_id in admins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(type(result).__name__ for result in results) == ["Erasure", "LastAdmin"]


def test_who_is_gone_cannot_be_erased(session: Session) -> None:
    with pytest.raises(NoSuchUser):
        service.erase(session, 4711, [], origin=Origin(None, None))


def test_an_erasure_that_fails_half_way_has_erased_nothing(session: Session, user: User, audited: Entries) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    holding = Holding((), lambda *_: None, fail)

    with pytest.raises(ValueError):  # noqa: PT011 - the one just above
        service.erase(session, user.id, [holding], origin=Origin(None, None))
    session.rollback()

    assert session.get(User, user.id) is not None
    assert session.scalars(sa.select(UserSession).where(UserSession.ended_at.is_not(None))).all() == []
    assert session.scalars(sa.select(Erasure)).all() == []
    assert audited() == []


@pytest.mark.req("P3")
def test_while_the_storage_is_away_people_are_erased_and_the_tombstone_follows(
    app: Flask,
    client: FlaskClient,
    session: Session,
    headers: dict[str, str],
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as away:
        away.setattr(storage, "put", fail)
        answer = client.delete(ME, headers=headers)
    kept_before = list(storage.keys("erasures/"))
    with app.app_context():
        keep_tombstones()
        keep_tombstones()

    assert answer.status_code == 204
    assert session.scalars(sa.select(User)).all() == []
    assert kept_before == []
    assert len(list(storage.keys("erasures/"))) == 1
    assert isinstance(session.scalars(sa.select(Erasure.stored_at)).one(), datetime)


@pytest.mark.req("P3", "P4")
def test_an_erasure_its_tombstone_and_its_entry_in_the_audit_log_are_one_transaction(
    app: Flask, client: FlaskClient, user: User, headers: dict[str, str], audited: Entries
) -> None:
    seen: list[tuple[int, int, int]] = []
    with app.app_context():
        engine = db.engine

    def look(*_: object) -> None:
        with Session(engine) as outside:
            users = outside.scalar(sa.select(sa.func.count(User.id))) or 0
            erasures = outside.scalar(sa.select(sa.func.count(Erasure.id))) or 0
            seen.append((users, erasures, len(audited())))

    sa.event.listen(engine, "commit", look)  # which is called just before one
    client.delete(ME, headers=headers)
    sa.event.remove(engine, "commit", look)
    look()

    assert set(seen) == {(1, 0, 0), (0, 1, 1)}
