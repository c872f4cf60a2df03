"""Sessions whose commits can wait, so that a caller adds a row to the transaction of a function that commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy.orm import Session

Action = Callable[[], object]


class DeferrableSession(FlaskSession):
    """The session of a request or a task; in a `deferred_commit` block, `commit` only flushes."""

    deferred: list[Action] | None = None  # what runs after the commit; None: commits are not deferred
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

    What `after_commit` got in the block runs then. A rollback inside the block undoes everything before it.
    """
    if not isinstance(session, DeferrableSession):
        raise TypeError(f"{session} cannot defer commits: use the session of Flask-SQLAlchemy")
    actions = session.deferred = []
    try:
        yield
        session.deferred = None
        session.commit()
    except BaseException:
        session.deferred = None
        session.rollback()
        raise
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
        session.deferred.append(action)
    else:
        action()
