"""Refresh tokens: each can be used once, and only the newest one of a session is valid."""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import UserSession
from app.audit import service as audit
from app.platform.database.base import rows_changed, utc_now
from app.platform.web.client_address import RequestOrigin


class SessionEnded(Exception):
    """The session has ended or expired."""


class TokenReused(Exception):
    """A refresh token was used twice, so it may be stolen; the session has been ended."""


def rotate(session: Session, *, session_id: int, refresh_id: str, lifetime: timedelta, origin: RequestOrigin) -> str:
    """Replace the id of a session's newest refresh token and return the new one.

    Raises `TokenReused`, which ends the session, or `SessionEnded`.
    """
    new_id, time = uuid.uuid4().hex, utc_now()
    active = sa.update(UserSession).where(
        UserSession.id == session_id, UserSession.ended_at.is_(None), UserSession.expires_at > time
    )
    renewal = {"refresh_id": new_id, "refreshed_at": time, "expires_at": time + lifetime}
    if rows_changed(session, active.where(UserSession.refresh_id == refresh_id).values(renewal)):
        session.commit()
        return new_id
    if not rows_changed(session, active.values(ended_at=time)):
        raise SessionEnded
    audit.record(session, "session.token_reused", actor_id=None, target=("session", session_id), origin=origin)
    session.commit()
    raise TokenReused
