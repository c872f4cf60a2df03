"""Refresh tokens: each can be used once, and only the newest one of a session is valid."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import UserSession
from app.accounts.user_sessions import Lifetime
from app.audit import service as audit
from app.platform.database.base import rows_changed, utc_now
from app.platform.web.client_address import RequestOrigin


class SessionEnded(Exception):
    """The session has ended or expired."""


class TokenReused(Exception):
    """A refresh token was used twice, so it may be stolen; the session has been ended."""


def rotate(
    session: Session, *, session_id: int, refresh_id: str, lifetime: Lifetime, origin: RequestOrigin
) -> UserSession:
    """Replace the id of a session's newest refresh token, extend the session and return it.

    Raises `TokenReused`, which ends the session, or `SessionEnded`.
    """
    time, stored = utc_now(), session.get(UserSession, session_id)
    if stored is None:
        raise SessionEnded
    expires_at = lifetime.expiry(stored.created_at, time)  # in the past if the absolute lifetime was lowered
    active = sa.update(UserSession).where(
        UserSession.id == session_id, UserSession.ended_at.is_(None), UserSession.expires_at > time
    )
    renewal = {"refresh_id": uuid.uuid4().hex, "refreshed_at": time, "expires_at": expires_at}
    if expires_at > time and rows_changed(session, active.where(UserSession.refresh_id == refresh_id).values(renewal)):
        session.commit()
        return stored
    if not rows_changed(session, active.values(ended_at=time)) or expires_at <= time:
        session.commit()
        raise SessionEnded
    audit.record(session, "session.token_reused", actor_id=None, target=("session", session_id), origin=origin)
    session.commit()
    raise TokenReused
