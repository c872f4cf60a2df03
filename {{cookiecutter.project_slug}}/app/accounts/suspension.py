"""Suspended users: all access has ended, and neither a sign-in nor a new password gives it back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.accounts.models import User
from app.accounts.service import LastAdmin, lock_user
from app.accounts.user_sessions import end_sessions
from app.audit import service as audit
from app.platform.database.base import utc_now
from app.platform.security import credentials
from app.platform.web.client_address import RequestOrigin


class OwnAccount(Exception):
    """Admins cannot suspend themselves."""


def suspend(session: Session, user_id: int, *, origin: RequestOrigin, actor_id: int) -> tuple[User, Sequence[int]]:
    """Suspend a user, end the user's sessions and return their ids; API keys are revoked for good.

    A login that is in progress holds a lock on the user: it either fails, or its session is among those that end.
    Raises `NoSuchUser`, `OwnAccount` or `LastAdmin`.
    """
    user, is_last_admin = lock_user(session, user_id)
    if user.suspended_at:
        return user, ()
    if user_id == actor_id:
        raise OwnAccount
    if is_last_admin:
        raise LastAdmin
    credentials.revoke_all(session, user_id, actor_id=actor_id, origin=origin)
    user.suspended_at = utc_now()
    ended = end_sessions(session, user_id)
    audit.record(session, "user.suspended", actor_id=actor_id, target=("user", user_id), origin=origin)
    session.commit()
    return user, ended


def unsuspend(session: Session, user_id: int, *, origin: RequestOrigin, actor_id: int) -> User:
    """Let a suspended user sign in again; raises `NoSuchUser`."""
    user, _ = lock_user(session, user_id)
    if user.suspended_at:
        user.suspended_at = None
        audit.record(session, "user.unsuspended", actor_id=actor_id, target=("user", user_id), origin=origin)
        session.commit()
    return user
