"""Sessions of users: which are active, and their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import UserSession
from app.platform.database.base import rows_changed, utc_now
from app.platform.personal_data import delete_in_portions

SESSION_RETENTION = timedelta(days=30)  # how long ended and expired sessions stay in the database


def end_sessions(
    session: Session, user_id: int, only: int | None = None, *, exclude: int | None = None
) -> Sequence[int]:
    """End a user's active sessions (`only` one, or all except `exclude`) and return their ids.

    The caller commits and then passes the ids to `app.platform.security.sessions.revoke`, which informs the replicas.
    """
    time = utc_now()
    active = sa.update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    if only is not None:
        active = active.where(UserSession.id == only)
    if exclude is not None:
        active = active.where(UserSession.id != exclude)
    session.execute(active.values(ended_at=time))
    # By the time, as MariaDB has no UPDATE ... RETURNING, and a list of ids would be a parameter for each session.
    ended = sa.select(UserSession.id).where(UserSession.user_id == user_id, UserSession.ended_at == time)
    return session.scalars(ended).all()


def is_session_active(session: Session, session_id: int) -> bool:
    """Whether a session has neither ended nor expired."""
    active = (UserSession.ended_at.is_(None), UserSession.expires_at > utc_now())
    return session.scalar(sa.select(UserSession.id).where(UserSession.id == session_id, *active)) is not None


def sessions_ended_since(session: Session, time: datetime) -> Sequence[int]:
    """Return the ids of sessions that ended after a time."""
    return session.scalars(sa.select(UserSession.id).where(UserSession.ended_at > time)).all()


def delete_old_sessions(session: Session) -> int:
    """Delete sessions that ended or expired more than `SESSION_RETENTION` ago; return how many."""
    cutoff = utc_now() - SESSION_RETENTION
    old = sa.or_(UserSession.expires_at < cutoff, UserSession.ended_at < cutoff)
    deleted = rows_changed(session, sa.delete(UserSession).where(old))
    session.commit()
    return deleted


def erase_sessions(session: Session, user_id: int) -> Iterator[None]:
    """Delete a user's sessions in portions; yields after each."""
    for _ in delete_in_portions(session, UserSession, user_id, (UserSession.id,)):
        yield
