"""Only tombstones with a signature of this service erase a user; damaged ones are reported and written again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.audit import service as audit
from app.audit.models import AuditLog
from app.platform.settings.declarations import settings_of
from app.platform.storage import Storage
from app.platform.web.client_address import RequestOrigin
from app.privacy import tasks
from app.privacy.models import Erasure
from app.privacy.signatures import Signer
from tests.accounts.factory import bearer, make_user
from tests.conftest import ReplaceComponent
from tests.privacy.restored_users import reapply, restore, storage_key, user_ids
from tests.privacy.test_tombstones import fail

pytestmark = [pytest.mark.usefixtures("storage"), pytest.mark.req("P3")]


@pytest.mark.fault("F56")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it has no signature"),
        (b"[]", "it has no signature"),
        (b"{" * 5000, "it has no signature"),
        (b'{"user_id": 1, "key_id": "00000000", "hmac": "%s"}' % (b"0" * 64), "its key 00000000 is not in"),
        (b'{"user_id": 1, "key_id": "\\ud800", "hmac": ""}', "it has no signature"),
        (b'{"user_id": 1, "key_id": "00000000", "hmac": "\\ud800"}', "it has no signature"),
        (b'{"user_id": 1, "key_id": "\\u001b[2J\\n", "hmac": "0"}', "it has no signature"),
    ],
)
def test_object_without_a_signature_erases_no_user(
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
def test_changed_and_copied_tombstones_erase_no_user(
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
@pytest.mark.parametrize("restored_before", [False, True], ids=["rotation", "restore and rotation"])
def test_tombstones_are_signed_again_after_a_rotation(
    app: Flask,
    session: Session,
    erased_user: tuple[int, datetime],
    replace_component: ReplaceComponent,
    restored_before: bool,
) -> None:
    old, new = "an earlier secret", "the current secret"
    with app.app_context():
        replace_component(Signer([old, *settings_of(app).encryption_keys]))
        tasks.sync_tombstones()
        replace_component(Signer([new, old]))
        if restored_before:
            restore(session, *erased_user)
            reapply(app)
        tasks.sync_tombstones()
        replace_component(Signer([new]))
    restore(session, *erased_user)

    result = reapply(app)

    assert result == (0, "erasures: 1 reapplied\n")
    assert user_ids(session) == []


@pytest.mark.fault("F56")
def test_damaged_tombstone_is_written_again(app: Flask, erased_user: tuple[int, datetime], storage: Storage) -> None:
    (key,) = storage.list_keys("erasures/")
    signed = storage.open(key).read()
    storage.put(key, b"junk")

    first, second = reapply(app), reapply(app)

    assert first == (0, f"{key} was damaged and is written again: it has no signature\nerasures: 0 reapplied\n")
    assert second == (0, "erasures: 0 reapplied\n")
    assert storage.open(key).read() == signed


FORGED = "1 erasures in the database, such as that of user {}, are not signed by this service, and are not written"


def forge_erasure(session: Session, user: User, **values: Any) -> None:
    """Write a row as someone with write access to the database does."""
    session.add(Erasure(user_id=user.id, user_created_at=user.created_at, session_ids=[], **values))
    session.commit()


@pytest.mark.fault("F56")
@pytest.mark.parametrize("values", [{}, {"stored_key_id": "00000000"}], ids=["new", "as after a rotation"])
def test_row_that_the_service_did_not_write_is_not_signed(
    app: Flask, session: Session, other_user: User, storage: Storage, values: dict[str, Any]
) -> None:
    user_id, created_at = other_user.id, other_user.created_at
    forge_erasure(session, other_user, **values)

    with app.app_context():
        tasks.sync_tombstones()
        tasks.sync_tombstones()
    status, output = reapply(app)

    assert list(storage.list_keys("erasures/")) == []
    assert (status, FORGED.format(user_id) in output) == (0, True)
    session.expunge(other_user)
    restore(session, user_id, created_at)
    assert reapply(app) == (0, "erasures: 0 reapplied\n")
    assert user_ids(session) == [user_id]


@pytest.mark.fault("F56")
def test_entry_about_another_erasure_signs_nothing(
    app: Flask,
    session: Session,
    audit_entries: Callable[[], Sequence[AuditLog]],
    erased_user: tuple[int, datetime],
    other_user: User,
    storage: Storage,
) -> None:
    (key,) = storage.list_keys("erasures/")
    genuine, origin = audit_entries()[-1].details, RequestOrigin(None, None)
    changed = {"user_id": other_user.id, "user_created_at": other_user.created_at.isoformat()}
    forged: list[dict[str, Any]] = [genuine | changed, genuine | {"hmac": "0"}, {"key_id": {}, "hmac": [[]]}]
    for details in (genuine, *forged):
        audit.record(session, "user.erased", actor_id=None, target=("user", other_user.id), origin=origin, **details)
    forge_erasure(session, other_user)

    with app.app_context():
        tasks.sync_tombstones()

    assert list(storage.list_keys("erasures/")) == [key]


@pytest.mark.fault("F56")
def test_unsigned_row_does_not_delay_a_genuine_one(
    app: Flask, client: FlaskClient, session: Session, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.privacy.tombstones.BATCH", 1)
    forge_erasure(session, make_user(session))
    genuine = make_user(session)
    key = storage_key(genuine)
    with monkeypatch.context() as broken:
        broken.setattr(storage, "put", fail)
        assert client.delete("/api/v1/users/me", headers=bearer(app, genuine)).status_code == 204

    with app.app_context():
        tasks.sync_tombstones()
        tasks.sync_tombstones()

    assert list(storage.list_keys("erasures/")) == [key]


def test_operator_signs_rows_of_an_earlier_version(
    app: Flask, session: Session, other_user: User, storage: Storage
) -> None:
    user_id, created_at = other_user.id, other_user.created_at
    key = storage_key(other_user)
    forge_erasure(session, other_user)
    storage.put(key, b"a tombstone without a signature")

    signed = app.test_cli_runner().invoke(args=["erasures", "reapply", "--sign"])

    assert (signed.exit_code, signed.output) == (
        0,
        f"{key} was damaged and is written again: it has no signature\nerasures: 1 reapplied\n",
    )
    session.expunge(other_user)
    restore(session, user_id, created_at)
    assert reapply(app) == (0, "erasures: 1 reapplied\n")
