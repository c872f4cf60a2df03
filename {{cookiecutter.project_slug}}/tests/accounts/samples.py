"""Samples of accounts, for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

import uuid

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.models import User, UserSession
from app.platform.security import tokens
from tests.accounts.factory import PASSWORD, make_session, make_user
from tests.unique_values import unique_text, unique_time


def create_user(_app: Flask, session: Session, _user: User) -> int:
    """Create another user; the e-mail is random, as several processes may create users in one database."""
    return make_user(session, email=f"{uuid.uuid4().hex}@example.org").id


def create_session(_app: Flask, session: Session, user: User) -> int:
    """Create a session of the user."""
    return make_session(session, user).id


def create_login_body(_app: Flask, _session: Session, user: User) -> dict[str, str]:
    """Return the credentials of the user."""
    return {"email": user.email, "password": PASSWORD}


def create_refresh_body(_app: Flask, session: Session, user: User) -> dict[str, str]:
    """Return the refresh token of a new session; needs an app context."""
    created = make_session(session, user)
    return {"refresh_token": tokens.sign(tokens.REFRESH, user.id, 60, sid=created.id, jti=created.refresh_id)}


def create_reset_body(_app: Flask, _session: Session, user: User) -> dict[str, str]:
    """Return a token that resets the password of the user; needs an app context."""
    return {"token": tokens.sign(tokens.RESET, user.id, 60, fingerprint=service.password_fingerprint(user))}


def create_change_body(_app: Flask, _session: Session, _user: User) -> dict[str, str]:
    """Return a password that differs from the current one."""
    return {"new_password": "another horse, another staple"}


OBJECTS = {"user_id": create_user, "session_id": create_session}
PUBLIC_ROUTES = ("auth/register", "auth/login", "auth/refresh", "auth/forgot-password", "auth/reset-password")
FUZZ_BODIES = {
    "auth_change_password": create_change_body,
    "auth_login": create_login_body,
    "auth_refresh": create_refresh_body,
    "auth_reset_password": create_reset_body,
}
FUZZ_ENDS_SESSION = ("auth_logout", "auth_change_password")


SECRET_COLUMNS = frozenset({"users.password_hash", "user_sessions.refresh_id"})  # not exported


def create_personal_data(app: Flask, session: Session, user: User) -> None:
    """Fill the optional columns of the user, and create a session."""
    del app
    user.display_name, user.last_login_at, user.suspended_at = unique_text(), unique_time(), unique_time()
    session.add(
        UserSession(
            user_id=user.id,
            refresh_id=unique_text(),
            address=unique_text(),
            user_agent=unique_text(),
            authenticated_at=unique_time(),
            created_at=unique_time(),
            refreshed_at=unique_time(),
            expires_at=unique_time(),
            ended_at=unique_time(),
        )
    )


PERSONAL_DATA = create_personal_data
