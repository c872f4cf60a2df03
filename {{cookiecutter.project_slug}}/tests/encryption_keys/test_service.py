"""Tests of re-encryption: it finds every value under another key, and never overwrites a concurrent change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User, UserTotp
from app.audit.models import AuditLog
from app.encryption_keys import service
from app.encryption_keys.models import EncryptionKey
from app.platform.database.encryption import Keyring, keyring_of, place_of
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import make_totp, make_user
from tests.encryption_keys.stored_names import (
    LOST_RING,
    NEW_RING,
    OLD_RING,
    add_key,
    decrypted,
    encrypted,
    store,
    stored,
)

COLUMN = "users.display_name"


def reencrypt(session: Session) -> list[service.Progress]:
    return list(service.reencrypt(session, RequestOrigin(None, "a-test")))


@pytest.mark.req("P1")
def test_reencrypt_processes_every_value_in_batches(
    rotated_session: Session, session: Session, user_ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    without_name = make_user(session).id

    progress = reencrypt(rotated_session)

    assert [(batch.column, batch.reencrypted) for batch in progress] == [(COLUMN, 2), (COLUMN, 2), (COLUMN, 1)]
    assert [decrypted(NEW_RING, session, user_id) for user_id in user_ids] == [f"name {n}" for n in range(5)]
    assert all(stored(session, user_id).startswith(f"enc2:{NEW_RING.current}:") for user_id in user_ids)
    assert stored(session, without_name) is None
    assert service.count_outdated(rotated_session) == 0
    assert reencrypt(rotated_session) == []


@pytest.mark.req("P1")
def test_reencrypt_binds_plain_text_on_request(
    rotated_session: Session, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = make_user(session).id
    store(session, user_id, "Ann")
    monkeypatch.setattr(keyring_of(rotated_session.get_bind().dialect), "accepts_unbound", True)

    reencrypt(rotated_session)

    assert decrypted(NEW_RING, session, user_id) == "Ann"


@pytest.mark.req("P1")
@pytest.mark.fault("F64")
def test_reencrypt_binds_values_to_the_user_of_the_row(rotated_session: Session, session: Session, user: User) -> None:
    make_totp(session, user)
    row_id = session.scalars(sa.select(UserTotp.id)).one()
    earlier = OLD_RING.encrypt("a secret", place_of("user_totp", "secret", row_id))
    session.execute(sa.text("UPDATE user_totp SET secret = :value"), {"value": earlier})
    session.commit()

    reencrypt(rotated_session)

    session.rollback()
    stored_secret = session.scalars(sa.text("SELECT secret FROM user_totp")).one()
    assert NEW_RING.decrypt(stored_secret).place == f"user_totp.secret:{row_id}@{user.id}"
    assert rotated_session.scalars(sa.select(UserTotp)).one().secret == "a secret"


@pytest.mark.req("P1")
@pytest.mark.fault("F64")
@pytest.mark.parametrize("value", ["Ann", OLD_RING.encrypt("Ada", "users.display_name:0")], ids=["plain", "copied"])
def test_reencrypt_makes_no_foreign_value_genuine(rotated_session: Session, session: Session, value: str) -> None:
    user_id = make_user(session).id
    store(session, user_id, value)

    (progress,) = reencrypt(rotated_session)

    assert (progress.reencrypted, progress.undecryptable) == (0, 1)
    assert stored(session, user_id) == value


@pytest.mark.usefixtures("user_ids")
@pytest.mark.req("P1")
def test_reencrypt_continues_after_an_interruption(rotated_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)

    next(service.reencrypt(rotated_session, RequestOrigin(None, "a-test")))
    rotated_session.rollback()
    outdated = service.count_outdated(rotated_session)
    progress = reencrypt(rotated_session)

    assert outdated == 3
    assert sum(batch.reencrypted for batch in progress) == 3
    assert service.count_outdated(rotated_session) == 0


@pytest.mark.parametrize("change", [OLD_RING.encrypt("x", "y"), NEW_RING.encrypt("x", "y"), "changed", "NAME 0"])
@pytest.mark.req("P1")
def test_reencrypt_keeps_a_concurrent_change(
    rotated_session: Session, session: Session, user_ids: list[int], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(keyring_of(rotated_session.get_bind().dialect), "accepts_unbound", True)
    store(session, user_ids[0], "name 0")
    encrypt = Keyring.encrypt

    def change_first(keyring: Keyring, text: str, place: str) -> str:
        if text == "name 0":  # was read, and is not written yet
            store(session, user_ids[0], change)
        return encrypt(keyring, text, place)

    monkeypatch.setattr(Keyring, "encrypt", change_first)
    reencrypt(rotated_session)

    assert stored(session, user_ids[0]) == change
    assert [decrypted(NEW_RING, session, user_id) for user_id in user_ids[1:]] == [f"name {n}" for n in range(1, 5)]


@pytest.mark.usefixtures("user_ids")
def test_reencrypt_does_not_change_updated_at(rotated_session: Session, session: Session) -> None:
    query = sa.select(User.id, User.updated_at).order_by(User.id)
    before = session.execute(query).all()
    session.rollback()

    reencrypt(rotated_session)

    assert session.execute(query).all() == before


@pytest.mark.req("P1")
def test_reencrypt_logs_and_skips_undecryptable_values(
    rotated_session: Session, session: Session, user_ids: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    undecryptable = encrypted(LOST_RING, "lost", user_ids[2])
    store(session, user_ids[2], undecryptable)

    progress = reencrypt(rotated_session)

    assert [(batch.reencrypted, batch.undecryptable) for batch in progress] == [(4, 1)]
    assert stored(session, user_ids[2]) == undecryptable
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"users.display_name of row {user_ids[2]} is not re-encrypted" in line
    assert LOST_RING.current in line
    assert service.count_outdated(rotated_session) == 1


@pytest.mark.usefixtures("user_ids")
@pytest.mark.req("P1", "P4")
def test_reencrypt_is_audited(rotated_session: Session, audit_entries: Callable[[], Sequence[AuditLog]]) -> None:
    reencrypt(rotated_session)

    (entry,) = audit_entries()
    assert (entry.action, entry.target_type) == ("encryption.reencrypted", "encryption_key")
    assert entry.target_id == NEW_RING.current
    assert entry.details == {"column": COLUMN, "values": 5}


def test_record_current_key_records_once(rotated_session: Session) -> None:
    first = service.record_current_key(rotated_session)
    second = service.record_current_key(rotated_session)

    assert first == second
    assert rotated_session.scalars(sa.select(EncryptionKey.kid)).all() == [NEW_RING.current]


def test_key_states_show_age_and_values_of_each_key(
    rotated_session: Session, session: Session, user_ids: list[int]
) -> None:
    store(session, user_ids[0], encrypted(NEW_RING, "x", user_ids[0]))
    store(session, user_ids[1], encrypted(LOST_RING, "x", user_ids[1]))
    store(session, user_ids[2], "x")
    add_key(session, NEW_RING.current, 90)
    add_key(session, OLD_RING.current, 200)

    states = service.key_states(rotated_session, 90)

    assert {state.kid: (state.state, state.age, state.due, dict(state.values)) for state in states} == {
        NEW_RING.current: ("in use", 90, True, {COLUMN: 1}),
        OLD_RING.current: ("legacy", 200, False, {COLUMN: 2}),
        LOST_RING.current: ("unknown", None, False, {COLUMN: 1}),
        "none": ("not bound", None, False, {COLUMN: 1}),
    }
