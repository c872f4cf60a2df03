"""Tests of tombstones: erased users stay erased after an older copy of the database or of the storage is restored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import User, UserSession
from app.audit.models import AuditLog
from app.platform.storage import Storage, StorageUnavailable
from app.privacy import tasks
from app.privacy.models import Erasure
from tests.accounts.factory import bearer, make_user
from tests.privacy.restored_users import reapply, restore, user_ids

pytestmark = pytest.mark.usefixtures("storage")

ADMIN_ONLY = "/api/v1/admin/users"  # does not read the account: 403 for a user's valid session, 401 for a revoked one
Entries = Callable[[], Sequence[AuditLog]]


def fail(*_: object) -> None:
    raise StorageUnavailable


@pytest.mark.req("P3")
def test_reapply_erases_only_restored_users(
    app: Flask, session: Session, other_user: User, erased_user: tuple[int, datetime], audit_entries: Entries
) -> None:
    restore(session, *erased_user)

    first, second = reapply(app), reapply(app)

    assert (first, second) == ((0, "erasures: 1 reapplied\n"), (0, "erasures: 0 reapplied\n"))
    assert user_ids(session) == [other_user.id]
    assert session.scalars(sa.select(UserSession)).all() == []
    assert [(row.user_id, row.user_created_at) for row in session.scalars(sa.select(Erasure))] == [erased_user]
    last = audit_entries()[-1]
    assert (last.action, last.actor_id, last.target_id) == ("user.erased", None, str(erased_user[0]))
    assert last.details == {"reason": "restored from a backup"}


@pytest.mark.req("P3")
def test_reapply_keeps_a_new_user_with_a_reused_id(
    app: Flask, session: Session, erased_user: tuple[int, datetime]
) -> None:
    user_id, created_at = erased_user
    restore(session, user_id, created_at + timedelta(microseconds=1))

    result = reapply(app)

    assert result == (0, "erasures: 0 reapplied\n")
    assert user_ids(session) == [user_id]


@pytest.mark.fault("F56")
def test_reapply_keeps_the_only_admin(app: Flask, session: Session, erased_user: tuple[int, datetime]) -> None:
    admin = restore(session, *erased_user)
    admin.role = "admin"
    session.commit()

    result = reapply(app)

    kept = f"user {admin.id} is the only admin and is not erased: make another user an admin, then run flask erasures"
    assert result == (0, f"{kept} reapply\nerasures: 0 reapplied\n")
    assert user_ids(session) == [admin.id]


@pytest.mark.req("A2", "P3")
def test_reapply_revokes_sessions(
    app: Flask, client: FlaskClient, session: Session, erased_user: tuple[int, datetime]
) -> None:
    headers = bearer(app, restore(session, *erased_user))
    before = client.get(ADMIN_ONLY, headers=headers).status_code

    reapply(app)

    assert (before, client.get(ADMIN_ONLY, headers=headers).status_code) == (403, 401)


@pytest.mark.req("P3", "D4")
def test_init_db_reapplies_erasures(app: Flask, session: Session, erased_user: tuple[int, datetime]) -> None:
    restore(session, *erased_user)

    result = app.test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 0
    assert "erasures: 1 reapplied" in result.output
    assert user_ids(session) == []


def test_hourly_task_reapplies_erasures(app: Flask, session: Session, erased_user: tuple[int, datetime]) -> None:
    restore(session, *erased_user)

    with app.app_context():
        tasks.reapply()

    assert user_ids(session) == []


def test_sync_writes_missing_tombstones_to_the_storage(
    app: Flask, erased_user: tuple[int, datetime], storage: Storage
) -> None:
    (key,) = storage.list_keys("erasures/")
    storage.delete(key)

    reapply(app)

    assert list(storage.list_keys("erasures/")) == [key]


def test_sync_restores_the_erasure_time_from_the_storage(
    app: Flask, session: Session, erased_user: tuple[int, datetime]
) -> None:
    erased_at = session.scalar(sa.select(Erasure.erased_at))
    restore(session, *erased_user)

    reapply(app)

    assert session.scalars(sa.select(Erasure.erased_at)).all() == [erased_at]


def test_sync_ignores_other_objects_in_the_folder(app: Flask, session: Session, storage: Storage) -> None:
    for name in ("README.txt", "12.json", "x-20260101T000000000000Z.json", "12-20261301T000000000000Z.json"):
        storage.put(f"erasures/{name}", b"")

    assert reapply(app) == (0, "erasures: 0 reapplied\n")
    assert session.scalars(sa.select(Erasure)).all() == []


@pytest.mark.req("P3")
def test_init_db_without_storage_applies_the_tombstones_of_the_database(
    app: Flask, session: Session, erased_user: tuple[int, datetime], storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, created_at = erased_user
    make_user(session, id=user_id, created_at=created_at)
    monkeypatch.setattr(storage, "list_keys", fail)

    result = app.test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 0
    assert "erasures: 1 reapplied; the storage is unavailable: run flask erasures reapply later" in result.output
    assert user_ids(session) == []


def test_reapply_fails_without_storage(
    app: Flask, session: Session, erased_user: tuple[int, datetime], storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(session, *erased_user)
    monkeypatch.setattr(storage, "list_keys", fail)

    result = reapply(app)

    assert result == (1, "Error: The storage is unavailable, so the list of erased users is incomplete.\n")


def test_reapply_compares_tombstones_in_batches(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.privacy.tombstones.BATCH", 2)
    users = [make_user(session) for _ in range(5)]
    for user in users[:4]:
        session.add(Erasure(user_id=user.id, user_created_at=user.created_at, session_ids=[]))
    session.commit()

    reapply(app)

    assert user_ids(session) == [users[4].id]


@pytest.mark.fault("F54")
def test_failing_deletion_of_one_user_does_not_keep_the_others(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_user(session), make_user(session)
    for user in (first, second):
        session.add(Erasure(user_id=user.id, user_created_at=user.created_at, session_ids=[]))
    session.commit()
    delete = accounts.delete

    def fail_for_first(own_session: Session, user_id: int) -> None:
        if user_id == first.id:
            raise sa.exc.OperationalError("DELETE", {}, Exception("a lock timeout"))
        delete(own_session, user_id)

    monkeypatch.setattr(accounts, "delete", fail_for_first)

    status, output = reapply(app)

    assert status == 0
    assert f"user {first.id} is not erased completely" in output
    assert user_ids(session) == [first.id]
