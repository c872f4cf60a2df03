"""Sessions of users: which are active, and their end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import MAX_USER_AGENT, EmailChange, UserSession
from app.audit import service as audit
from app.platform.api.pagination import CursorValue, newest_first
from app.platform.database.base import rows_changed, utc_now
from app.platform.personal_data import delete_in_portions
from app.platform.web.client_address import RequestOrigin

SESSION_RETENTION = timedelta(days=30)  # how long ended and expired sessions stay in the database


@dataclass(frozen=True)
class Lifetime:
    """How long a session lives: without use (`idle`), and in total (`absolute`)."""

    idle: timedelta
    absolute: timedelta

    def expiry(self, created_at: datetime, used_at: datetime) -> datetime:
        """Return when a session expires that was created and last used at these times."""
        return min(used_at + self.idle, created_at + self.absolute)


def create_session(session: Session, user_id: int, lifetime: Lifetime, origin: RequestOrigin) -> UserSession:
    """Add a session of a user who has just proved a password; the caller commits."""
    time = utc_now()
    user_session = UserSession(
        user_id=user_id,
        refresh_id=uuid.uuid4().hex,
        created_at=time,
        refreshed_at=time,
        authenticated_at=time,
        expires_at=lifetime.expiry(time, time),
        address=origin.address,
        user_agent=shortened_user_agent(origin.user_agent),
    )
    session.add(user_session)
    return user_session


def shortened_user_agent(text: str | None) -> str | None:
    """Return the printable characters of a `User-Agent` header, at most `MAX_USER_AGENT`; None if there are none."""
    return "".join(filter(str.isprintable, (text or "")[:MAX_USER_AGENT])) or None


def active_sessions(
    session: Session, user_id: int, limit: int, cursor: CursorValue | None = None
) -> Sequence[UserSession]:
    """Return up to `limit` + 1 active sessions of a user after the cursor, newest first."""
    query = sa.select(UserSession).where(UserSession.user_id == user_id, *_is_active())
    return session.scalars(newest_first(query, UserSession.created_at, UserSession.id, limit, cursor)).all()


def end_session(session: Session, user_id: int, session_id: int, origin: RequestOrigin) -> bool:
    """End an active session of a user and commit; return False if there is none with this id.

    The caller passes the id to `app.platform.security.sessions.revoke`.
    """
    own = sa.update(UserSession).where(UserSession.id == session_id, UserSession.user_id == user_id, *_is_active())
    if not rows_changed(session, own.values(ended_at=utc_now())):
        session.rollback()
        return False
    audit.record(session, "session.ended", actor_id=user_id, target=("session", session_id), origin=origin)
    session.commit()
    return True


def mark_authenticated(session: Session, user_id: int, session_id: int) -> UserSession | None:
    """Store that the user has proved who they are in a session now; return it, or None if it is not active.

    The caller commits. New access tokens of the session then pass `step_up.require_recent`. The newest refresh token
    becomes invalid: otherwise a stolen one would give its holder such an access token.
    """
    own = sa.update(UserSession).where(UserSession.id == session_id, UserSession.user_id == user_id, *_is_active())
    if not rows_changed(session, own.values(authenticated_at=utc_now(), refresh_id=uuid.uuid4().hex)):
        return None
    return session.get(UserSession, session_id)


def _is_active() -> tuple[sa.ColumnElement[bool], ...]:
    return UserSession.ended_at.is_(None), UserSession.expires_at > utc_now()


def end_sessions(
    session: Session, user_id: int, only: int | None = None, *, exclude: int | None = None
) -> Sequence[int]:
    """End a user's active sessions (`only` one, or all except `exclude`) and return their ids.

    If it is not only one, a change of the e-mail that waits for its confirmation ends too: someone else who knew the
    password may have asked for it.

    The caller commits and then passes the ids to `app.platform.security.sessions.revoke`, which informs the replicas.
    """
    if only is None:  # first, like a confirmation, which locks the change and then the sessions: no deadlocks
        session.execute(sa.delete(EmailChange).where(EmailChange.user_id == user_id))
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
    return session.scalar(sa.select(UserSession.id).where(UserSession.id == session_id, *_is_active())) is not None


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
    for _ in delete_in_portions(session, UserSession, user_id, (UserSession.created_at, UserSession.id)):
        yield
