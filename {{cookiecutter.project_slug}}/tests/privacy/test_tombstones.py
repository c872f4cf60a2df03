"""Tests of tombstones: erased users stay erased after an older copy of the database or of the storage is restored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
from app.audit.models import AuditLog
from app.platform.storage import Storage, StorageUnavailable
from app.privacy import tasks
from app.privacy.models import Erasure
from app.privacy.signatures import Signer
from tests.accounts.factory import bearer, make_session, make_user
from tests.conftest import ReplaceComponent

pytestmark = pytest.mark.usefixtures("storage")

ADMIN_ONLY = "/api/v1/admin/users"  # does not read the account: 403 for a user's valid session, 401 for a revoked one
Entries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def erased_user(client: FlaskClient, session: Session, user: User, headers: dict[str, str]) -> tuple[int, datetime]:
    """The id and the registration time of an erased user."""
    identity = user.id, user.created_at
    assert client.delete("/api/v1/users/me", headers=headers).status_code == 204
    session.expunge(user)
    return identity


def restore(session: Session, user_id: int, created_at: datetime) -> User:
    """Insert an erased user again, as the restore of an older backup does."""
    user = make_user(session, id=user_id, created_at=created_at)
    make_session(session, user)
    session.execute(sa.delete(Erasure))
    session.commit()
    return user


def storage_key(user: User) -> str:
    return f"erasures/{user.id}-{user.created_at:%Y%m%dT%H%M%S%f}Z.json"


def user_ids(session: Session) -> list[int]:
    session.rollback()
    return list(session.scalars(sa.select(User.id).order_by(User.id)))


def reapply(app: Flask) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["erasures", "reapply"])
    return result.exit_code, result.output


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


@pytest.mark.fault("F56")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it has no signature"),
        (b"[]", "it has no signature"),
        (b"{" * 5000, "it has no signature"),
        (b'{"user_id": 1, "key_id": "0000", "hmac": ""}', "its key 0000 is not in MASTER_ENCRYPTION_KEY"),
    ],
)
def test_object_without_a_signature_erases_nobody(
    app: Flask, session: Session, user: User, storage: Storage, content: bytes, reason: str
) -> None:
    storage.put(storage_key(user), content)

    reapplied = reapply(app)
    initialized = app.test_cli_runner().invoke(args=["init-db"])

    assert reapplied[0] == initialized.exit_code == 0
    for output in (reapplied[1], initialized.output):
        assert f"{storage_key(user)} is no tombstone of this service, and is ignored: {reason}" in output
        assert "erasures: 0 reapplied" in output
    assert user_ids(session) == [user.id]


@pytest.mark.fault("F56")
def test_changed_and_copied_tombstones_erase_nobody(
    app: Flask, session: Session, erased_user: tuple[int, datetime], other_user: User, storage: Storage
) -> None:
    (key,) = storage.list_keys("erasures/")
    signed = storage.open(key).read()
    users = [other_user, make_user(session)]
    changed = json.loads(signed) | {"user_id": users[1].id, "user_created_at": users[1].created_at.isoformat()}
    storage.put(storage_key(users[0]), signed)
    storage.put(storage_key(users[1]), json.dumps(changed).encode())

    status, output = reapply(app)

    assert status == 0
    assert (
        f"{storage_key(users[0])} is no tombstone of this service, and is ignored: it belongs to another name" in output
    )
    assert f"{storage_key(users[1])} is no tombstone of this service, and is ignored: its signature is wrong" in output
    assert user_ids(session) == [user.id for user in users]


@pytest.mark.fault("F56")
def test_tombstones_are_signed_again_after_a_rotation(
    app: Flask, session: Session, erased_user: tuple[int, datetime], replace_component: ReplaceComponent
) -> None:
    old, new = "an earlier secret", "the current secret"
    with app.app_context():
        replace_component(Signer([old]))
        tasks.sync_tombstones()
        replace_component(Signer([new, old]))
        tasks.sync_tombstones()
        replace_component(Signer([new]))
    restore(session, *erased_user)

    result = reapply(app)

    assert result == (0, "erasures: 1 reapplied\n")
    assert user_ids(session) == []


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
