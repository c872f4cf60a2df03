"""Sessions whose commits can wait, so that a caller adds a row to the transaction of a function that commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy.orm import Session

Action = Callable[[], object]


@dataclass(frozen=True)
class Deferred:
    """What runs after a deferred commit, and what runs, the last one first, if it fails."""

    after_commit: list[Action] = field(default_factory=list)
    after_rollback: list[Action] = field(default_factory=list)


class DeferrableSession(FlaskSession):
    """The session of a request or a task; in a `deferred_commit` block, `commit` only flushes."""

    deferred: Deferred | None = None  # None: commits are not deferred
    has_committed = False

    def commit(self) -> None:
        """Commit, or flush if the commit is deferred."""
        if self.deferred is None:
            self.commit_now()
        else:
            self.flush()

    def commit_now(self) -> None:
        """Commit, also if the commit is deferred."""
        super().commit()
        self.has_committed = True


@contextmanager
def deferred_commit(session: Session) -> Iterator[None]:
    """Make the `with` block one transaction: commit at its end, or roll back if it raises, whatever it committed.

    Then runs what `after_commit` got in the block, or `after_rollback`. A rollback inside the block undoes everything
    before it.
    """
    if not isinstance(session, DeferrableSession):
        raise TypeError(f"{session} cannot defer commits: use the session of Flask-SQLAlchemy")
    deferred = session.deferred = Deferred()
    try:
        yield
        session.deferred = None
        session.commit()
    except BaseException:
        session.deferred = None
        try:
            session.rollback()
        finally:
            _run(reversed(deferred.after_rollback))
        raise
    _run(deferred.after_commit)


def _run(actions: Iterable[Action]) -> None:
    for action in actions:
        action()


def is_deferred(session: Session) -> bool:
    """Whether the commits of a session wait."""
    return isinstance(session, DeferrableSession) and session.deferred is not None


def has_committed(session: Session) -> bool:
    """Whether a session has committed anything."""
    return isinstance(session, DeferrableSession) and session.has_committed


def commit_now(session: Session) -> None:
    """Commit a row that stays if the caller's transaction fails; call it before the caller changes anything."""
    if isinstance(session, DeferrableSession):
        session.commit_now()
    else:
        session.commit()


def after_commit(session: Session, action: Action) -> None:
    """Run an action that needs what the caller has committed, such as sending a task: now, or after the commit."""
    if isinstance(session, DeferrableSession) and session.deferred is not None:
        session.deferred.after_commit.append(action)
    else:
        action()


def after_rollback(session: Session, action: Action) -> None:
    """Run an action if the commit is deferred and then fails; see `base.undo_on_failure`."""
    if isinstance(session, DeferrableSession) and session.deferred is not None:
        session.deferred.after_rollback.append(action)
