"""A block in which commits are deferred is one transaction, whatever the functions in it commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.platform.database.base import autocommit_connection, db, undo_on_failure
from app.platform.database.deferred_commit import after_commit, deferred_commit
from tests.accounts.factory import make_user

pytestmark = pytest.mark.req("A9")

COUNT = sa.select(sa.func.count()).select_from(User)


@pytest.fixture
def request_session(app: Flask) -> Iterator[Session]:
    """The session of a request."""
    with app.app_context():
        yield db.session()


def count(session: Session) -> int:
    session.rollback()
    return session.scalars(COUNT).one()


def test_block_commits_once_at_its_end(session: Session, request_session: Session) -> None:
    with deferred_commit(request_session):
        make_user(request_session)  # commits
        make_user(request_session)
        before = count(session)

    assert (before, count(session)) == (0, 2)


def test_error_undoes_what_the_block_committed(session: Session, request_session: Session) -> None:
    with suppress(KeyError), deferred_commit(request_session):
        make_user(request_session)
        raise KeyError

    assert count(session) == 0


def test_commits_are_immediate_after_the_block(session: Session, request_session: Session) -> None:
    with suppress(KeyError), deferred_commit(request_session):
        raise KeyError

    make_user(request_session)

    assert count(session) == 1


def test_autocommit_connection_joins_the_transaction(session: Session, request_session: Session) -> None:
    with suppress(KeyError), deferred_commit(request_session):
        with autocommit_connection() as connection:
            connection.execute(sa.insert(User).values(email="ada@example.org", password_hash=""))
        raise KeyError

    assert count(session) == 0


def test_action_runs_after_the_commit(session: Session, request_session: Session) -> None:
    found: list[int] = []
    with deferred_commit(request_session):
        make_user(request_session)
        after_commit(request_session, lambda: found.append(count(session)))
        assert found == []

    assert found == [1]


def test_action_runs_at_once_without_a_block(request_session: Session) -> None:
    done: list[bool] = []

    after_commit(request_session, lambda: done.append(True))

    assert done == [True]


def test_action_does_not_run_after_an_error(request_session: Session) -> None:
    done: list[bool] = []

    with suppress(KeyError), deferred_commit(request_session):
        after_commit(request_session, lambda: done.append(True))
        raise KeyError

    assert done == []


def test_effect_is_undone_if_the_block_fails_later(request_session: Session) -> None:
    undone: list[str] = []

    with suppress(KeyError), deferred_commit(request_session):
        for name in ("first", "second"):
            with undo_on_failure(lambda name=name: undone.append(name)):  # type: ignore[misc] # binds the name
                pass
        assert undone == []
        raise KeyError

    assert undone == ["second", "first"]


@pytest.mark.parametrize("has_block", [True, False])
def test_effect_is_undone_once_if_its_own_block_fails(request_session: Session, *, has_block: bool) -> None:
    undone: list[bool] = []

    block = deferred_commit(request_session) if has_block else nullcontext()
    with suppress(KeyError), block, undo_on_failure(lambda: undone.append(True)):
        raise KeyError

    assert undone == [True]


def test_effect_is_undone_if_the_commit_fails(request_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    undone: list[bool] = []

    def fail() -> None:
        raise KeyError

    monkeypatch.setattr(request_session, "commit_now", fail)
    with suppress(KeyError), deferred_commit(request_session), undo_on_failure(lambda: undone.append(True)):
        pass

    assert undone == [True]


@pytest.mark.parametrize("has_block", [True, False])
def test_effect_is_not_undone_after_a_success(request_session: Session, *, has_block: bool) -> None:
    undone: list[bool] = []

    block = deferred_commit(request_session) if has_block else nullcontext()
    with block, undo_on_failure(lambda: undone.append(True)):
        pass
    with suppress(KeyError), deferred_commit(request_session):
        raise KeyError

    assert undone == []


def test_other_sessions_cannot_defer(session: Session) -> None:
    with pytest.raises(TypeError, match="use the session of Flask-SQLAlchemy"), deferred_commit(session):
        pass
