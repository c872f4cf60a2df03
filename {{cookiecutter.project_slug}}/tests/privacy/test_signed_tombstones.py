"""Only tombstones with a signature of this service erase a user; damaged ones are reported and written again."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.platform.storage import Storage
from app.privacy import tasks
from app.privacy.signatures import Signer
from tests.accounts.factory import make_user
from tests.conftest import ReplaceComponent
from tests.privacy.restored_users import reapply, restore, storage_key, user_ids

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
        replace_component(Signer([old]))
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
