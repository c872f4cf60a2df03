"""A new key: what is under an earlier one is found, encrypted anew, and never overwritten when it changes meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from prometheus_client import REGISTRY
from sqlalchemy.orm import Session

from app import create_app
from app.accounts.models import User
from app.audit.models import AuditLog
from app.audit.service import Origin
from app.database import db, now
from app.privacy import rotation, tasks
from app.privacy.models import EncryptionKey
from app.security.encryption import Keyring
from tests.accounts.factory import make_user

OLD, NEW = "an-earlier-secret-" * 3, "a-newer-secret-" * 3
OLD_RING, NEW_RING = Keyring([OLD]), Keyring([NEW])
NOWHERE = Origin(None, "a-test")


@pytest.fixture
def rotated(app: Flask, environment: Mapping[str, str]) -> Iterator[Flask]:
    """The app after a new key was made the first one."""
    rotated = create_app({**environment, "MASTER_ENCRYPTION_KEY": NEW, "LEGACY_ENCRYPTION_KEYS": OLD})
    yield rotated
    with rotated.app_context():
        db.engine.dispose()


@pytest.fixture
def new_session(rotated: Flask) -> Iterator[Session]:
    with rotated.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield session


def store(session: Session, user_id: int, value: str) -> None:
    session.execute(sa.text("UPDATE users SET display_name = :value WHERE id = :id"), {"value": value, "id": user_id})
    session.commit()


def stored(session: Session, user_id: int) -> str:
    session.rollback()
    query = sa.text("SELECT display_name FROM users WHERE id = :id")
    found: str = session.execute(query, {"id": user_id}).scalar_one()
    return found


@pytest.fixture
def anybody(session: Session) -> int:
    """The id of a user; the user's row cannot be read here once its name is under a key of the rotated app."""
    return make_user(session).id


@pytest.fixture
def users(session: Session) -> list[int]:
    """Five users with names under the earlier key."""
    ids = [make_user(session).id for _ in range(5)]
    for number, user_id in enumerate(ids):
        store(session, user_id, OLD_RING.encrypt(f"name {number}"))
    return ids


def rotate(session: Session) -> list[rotation.Progress]:
    return list(rotation.reencrypt(session, NOWHERE))


@pytest.mark.req("P1")
def test_everything_comes_under_the_new_key_in_batches(
    new_session: Session, session: Session, users: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    nameless = make_user(session).id

    progress = rotate(new_session)

    assert [(batch.column, batch.renewed) for batch in progress] == [
        ("users.display_name", 2),
        ("users.display_name", 2),
        ("users.display_name", 1),
    ]
    assert [NEW_RING.decrypt(stored(session, user_id)) for user_id in users] == [f"name {n}" for n in range(5)]
    assert all(stored(session, user_id).startswith(f"enc:{NEW_RING.current}:") for user_id in users)
    assert stored(session, nameless) is None
    assert rotation.outdated(new_session) == 0
    assert rotate(new_session) == []


@pytest.mark.req("P1")
def test_what_was_never_encrypted_is_encrypted_too(new_session: Session, session: Session, anybody: int) -> None:
    store(session, anybody, "Ann")

    rotate(new_session)

    assert NEW_RING.decrypt(stored(session, anybody)) == "Ann"
    assert stored(session, anybody).startswith("enc:")


@pytest.mark.req("P1")
def test_a_rotation_that_ends_half_way_is_gone_on_with(
    new_session: Session, session: Session, users: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)

    next(rotation.reencrypt(new_session, NOWHERE))
    new_session.rollback()
    left = rotation.outdated(new_session)
    rest = rotate(new_session)

    assert left == 3
    assert sum(batch.renewed for batch in rest) == 3
    assert rotation.outdated(new_session) == 0


@pytest.mark.parametrize("meanwhile", [OLD_RING.encrypt("changed"), NEW_RING.encrypt("changed"), "changed", "NAME 0"])
@pytest.mark.req("P1")
def test_a_change_that_races_the_rotation_is_not_lost(
    new_session: Session, session: Session, users: list[int], monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    store(session, users[0], "name 0")
    encrypt = Keyring.encrypt

    def change_first(keyring: Keyring, text: str) -> str:
        if text == "name 0":  # read by the rotation, and not written yet
            store(session, users[0], meanwhile)
        return encrypt(keyring, text)

    monkeypatch.setattr(Keyring, "encrypt", change_first)
    rotate(new_session)

    assert stored(session, users[0]) == meanwhile
    assert [NEW_RING.decrypt(stored(session, user_id)) for user_id in users[1:]] == [f"name {n}" for n in range(1, 5)]


def test_a_row_is_not_made_out_to_have_been_changed(new_session: Session, session: Session, users: list[int]) -> None:
    query = sa.select(User.id, User.updated_at).order_by(User.id)
    before = session.execute(query).all()
    session.rollback()

    rotate(new_session)

    assert session.execute(query).all() == before


@pytest.mark.req("P1")
def test_what_cannot_be_read_is_named_and_does_not_hold_up_the_rest(
    new_session: Session, session: Session, users: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    lost = Keyring(["a secret that nobody has any more"])
    foreign = lost.encrypt("lost")
    store(session, users[2], foreign)

    progress = rotate(new_session)

    assert [(batch.renewed, batch.unreadable) for batch in progress] == [(4, 1)]
    assert stored(session, users[2]) == foreign
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"users.display_name of row {users[2]} stays as it is" in line
    assert lost.current in line
    assert rotation.outdated(new_session) == 1


@pytest.mark.req("P1", "P4")
def test_a_rotation_is_in_the_audit_log(
    new_session: Session, users: list[int], audited: Callable[[], Sequence[AuditLog]]
) -> None:
    rotate(new_session)

    (entry,) = audited()
    assert (entry.action, entry.target_type, entry.target_id) == (
        "encryption.renewed",
        "encryption_key",
        NEW_RING.current,
    )
    assert entry.details == {"column": "users.display_name", "values": 5}


def note(session: Session, kid: str, days: int) -> None:
    """Have a key in use for so many days."""
    session.add(EncryptionKey(kid=kid, first_used_at=now() - timedelta(days=days)))
    session.commit()


def test_a_key_is_noted_once(new_session: Session) -> None:
    first = rotation.note_key(new_session)
    second = rotation.note_key(new_session)

    assert first == second
    assert new_session.scalars(sa.select(EncryptionKey.kid)).all() == [NEW_RING.current]


def test_every_key_is_listed_with_its_age_and_values(new_session: Session, session: Session, users: list[int]) -> None:
    lost = Keyring(["a secret that nobody has any more"])
    store(session, users[0], NEW_RING.encrypt("x"))
    store(session, users[1], lost.encrypt("x"))
    store(session, users[2], "x")
    note(session, NEW_RING.current, 90)
    note(session, OLD_RING.current, 200)

    states = rotation.key_states(new_session, 90)

    name = "users.display_name"
    assert {state.kid: (state.state, state.age, state.due, dict(state.values)) for state in states} == {
        NEW_RING.current: ("in use", 90, True, {name: 1}),
        OLD_RING.current: ("legacy", 200, False, {name: 2}),
        lost.current: ("unknown", None, False, {name: 1}),
        "none": ("not encrypted", None, False, {name: 1}),
    }


@pytest.mark.parametrize(("days", "warned"), [(89, False), (90, True)])
@pytest.mark.req("P1")
def test_the_weekly_check_warns_when_a_new_key_is_due_and_shows_the_age(
    rotated: Flask, session: Session, caplog: pytest.LogCaptureFixture, days: int, warned: bool
) -> None:
    note(session, NEW_RING.current, days)

    with rotated.app_context():
        tasks.check_keys()

    assert any("a new one has been due after 90" in record.getMessage() for record in caplog.records) is warned
    assert REGISTRY.get_sample_value("encryption_key_age_days") == days


@pytest.mark.req("P1")
def test_the_weekly_check_has_what_is_under_an_earlier_key_encrypted_anew(
    rotated: Flask, session: Session, users: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    with monkeypatch.context() as patch, rotated.app_context():
        patch.setattr(tasks.reencrypt, "send_if_possible", lambda: sent.append("reencrypt"))
        tasks.check_keys()
        tasks.reencrypt()
        tasks.check_keys()

    assert sent == ["reencrypt"]
    assert all(stored(session, user_id).startswith(f"enc:{NEW_RING.current}:") for user_id in users)


def test_a_long_rotation_is_handed_on_before_its_time_is_up(
    rotated: Flask, session: Session, users: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(rotation, "BATCH", 2)
    monkeypatch.setattr(tasks, "TIME_SHARE", 0)
    with monkeypatch.context() as patch, rotated.app_context():
        patch.setattr(tasks.reencrypt, "send_if_possible", lambda: sent.append("reencrypt"))
        for _ in range(4):
            tasks.reencrypt()

    assert sent == ["reencrypt"] * 3  # the fourth found nothing to do
    assert all(stored(session, user_id).startswith(f"enc:{NEW_RING.current}:") for user_id in users)
