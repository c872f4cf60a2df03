"""Proving the password again in a session, before a sensitive action."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.accounts.models import User, UserSession
from app.accounts.refresh_tokens import SessionEnded
from app.accounts.service import WrongPassword
from app.accounts.user_sessions import mark_authenticated
from app.audit import service as audit
from app.platform.security.passwords import verify_password
from app.platform.web.client_address import RequestOrigin


def reauthenticate(
    session: Session, *, user_id: int, session_id: int, password: str, origin: RequestOrigin
) -> tuple[User, UserSession]:
    """Return the user with this password and the session, which counts as authenticated now.

    Raises `WrongPassword` or `SessionEnded`.
    """
    user = session.get(User, user_id)
    if user is None or not verify_password(password, user.password_hash):
        raise WrongPassword
    user_session = mark_authenticated(session, user_id, session_id)
    if user_session is None:
        session.rollback()
        raise SessionEnded
    audit.record(session, "user.reauthenticated", actor_id=user_id, target=("session", session_id), origin=origin)
    session.commit()
    return user, user_session
