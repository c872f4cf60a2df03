"""Who was erased stays erased, also when an older copy of the database or of the storage comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
from app.audit.models import AuditLog
from app.privacy import tasks
from app.privacy.models import Erasure
from app.storage import Storage, StorageUnavailable
from tests.accounts.factory import bearer, make_session, make_user

Entries = Callable[[], Sequence[AuditLog]]


@pytest.fixture
def erased(app: Flask, client: FlaskClient, session: Session, user: User, storage: Storage) -> tuple[int, datetime]:
    """The id and the time of registering of somebody who was erased."""
    who = user.id, user.created_at
    assert client.delete("/api/v1/users/me", headers=bearer(app, user)).status_code == 204
    session.expunge(user)
    return who


def restore(session: Session, user_id: int, created_at: datetime) -> User:
    """Put a user back, as an older backup would that knows nothing of the erasure."""
    user = make_user(session, id=user_id, created_at=created_at)
    make_session(session, user)
    session.execute(sa.delete(Erasure))
    session.commit()
    return user


def ids(session: Session) -> list[int]:
    session.rollback()
    return list(session.scalars(sa.select(User.id).order_by(User.id)))


def reapply(app: Flask) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["erasures", "reapply"])
    return result.exit_code, result.output


def away(*_: object) -> None:
    raise StorageUnavailable


@pytest.mark.req("P3")
def test_who_is_back_is_erased_again_and_nobody_else(
    app: Flask, session: Session, other_user: User, erased: tuple[int, datetime], audited: Entries
) -> None:
    restore(session, *erased)

    first, second = reapply(app), reapply(app)

    assert (first, second) == ((0, "erasures: 1 applied again\n"), (0, "erasures: 0 applied again\n"))
    assert ids(session) == [other_user.id]
    assert session.scalars(sa.select(UserSession)).all() == []
    assert [(row.user_id, row.user_created_at) for row in session.scalars(sa.select(Erasure))] == [erased]
    last = audited()[-1]
    assert (last.action, last.actor_id, last.target_id) == ("user.erased", None, str(erased[0]))
    assert last.details == {"reason": "restored from a backup"}


@pytest.mark.req("P3")
def test_somebody_new_who_was_given_the_same_id_is_not_touched(
    app: Flask, session: Session, erased: tuple[int, datetime]
) -> None:
    user_id, created_at = erased
    restore(session, user_id, created_at + timedelta(microseconds=1))

    code, said = reapply(app)

    assert (code, said) == (0, "erasures: 0 applied again\n")
    assert ids(session) == [user_id]


def test_the_only_admin_of_a_backup_is_erased_again_too(
    app: Flask, session: Session, erased: tuple[int, datetime]
) -> None:
    restore(session, *erased).role = "admin"
    session.commit()

    reapply(app)

    assert ids(session) == []


@pytest.mark.req("A2", "P3")
def test_who_is_erased_again_is_signed_out_too(
    app: Flask, client: FlaskClient, session: Session, erased: tuple[int, datetime]
) -> None:
    headers = bearer(app, restore(session, *erased))
    address = "/api/v1/locations"  # which does not look whether there is such an account
    before = client.get(address, headers=headers).status_code

    reapply(app)

    assert (before, client.get(address, headers=headers).status_code) == (200, 401)


@pytest.mark.req("P3", "D4")
def test_init_db_erases_again_before_anything_serves(
    app: Flask, session: Session, erased: tuple[int, datetime]
) -> None:
    restore(session, *erased)

    result = app.test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 0
    assert "erasures: 1 applied again" in result.output
    assert ids(session) == []


def test_the_hourly_job_erases_again(app: Flask, session: Session, erased: tuple[int, datetime]) -> None:
    restore(session, *erased)

    with app.app_context():
        tasks.reapply()

    assert ids(session) == []


def test_a_storage_that_lost_its_tombstones_gets_them_back(
    app: Flask, session: Session, erased: tuple[int, datetime], storage: Storage
) -> None:
    (key,) = storage.keys("erasures/")
    storage.delete(key)

    reapply(app)

    assert list(storage.keys("erasures/")) == [key]


def test_the_time_of_the_erasure_comes_back_out_of_the_storage(
    app: Flask, session: Session, erased: tuple[int, datetime]
) -> None:
    erased_at = session.scalar(sa.select(Erasure.erased_at))
    restore(session, *erased)

    reapply(app)

    assert session.scalars(sa.select(Erasure.erased_at)).all() == [erased_at]


def test_what_else_lies_among_the_tombstones_is_let_alone(app: Flask, session: Session, storage: Storage) -> None:
    for name in ("README.txt", "12.json", "x-20260101T000000000000Z.json", "12-20261301T000000000000Z.json"):
        storage.put(f"erasures/{name}", b"")

    assert reapply(app) == (0, "erasures: 0 applied again\n")
    assert session.scalars(sa.select(Erasure)).all() == []


@pytest.mark.req("P3")
def test_while_the_storage_is_away_the_databases_own_tombstones_count_and_that_is_said(
    app: Flask, session: Session, erased: tuple[int, datetime], storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, created_at = erased
    make_user(session, id=user_id, created_at=created_at)
    monkeypatch.setattr(storage, "keys", away)

    result = app.test_cli_runner().invoke(args=["init-db"])

    assert result.exit_code == 0
    assert "erasures: 1 applied again; the storage did not answer: later, run flask erasures reapply" in result.output
    assert ids(session) == []


def test_the_command_fails_while_the_storage_is_away(
    app: Flask, session: Session, erased: tuple[int, datetime], storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(session, *erased)
    monkeypatch.setattr(storage, "keys", away)

    code, said = reapply(app)

    assert code == 1
    assert said == "Error: The storage does not answer, so it is not known who was erased.\n"


def test_many_tombstones_are_compared_in_parts(
    app: Flask, session: Session, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.privacy.tombstones.BATCH", 2)
    users = [make_user(session) for _ in range(5)]
    for user in users[:4]:
        session.add(Erasure(user_id=user.id, user_created_at=user.created_at, session_ids=[]))
    session.commit()

    reapply(app)

    assert ids(session) == [users[4].id]
