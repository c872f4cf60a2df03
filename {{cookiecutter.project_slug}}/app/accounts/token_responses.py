"""The tokens of a session, as responses return them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import current_app

from app.accounts.models import User, UserSession
from app.accounts.settings import AccountsSettings
from app.accounts.user_sessions import Lifetime
from app.platform.database.base import utc_now
from app.platform.security import tokens
from app.platform.settings.declarations import settings_of
from app.platform.web.caller import Caller


def session_lifetime() -> Lifetime:
    """Return how long sessions live."""
    settings = settings_of(current_app, AccountsSettings)
    return Lifetime(timedelta(seconds=settings.REFRESH_TOKEN_SECONDS), timedelta(seconds=settings.SESSION_MAX_SECONDS))


def token_pair(user: User, user_session: UserSession) -> dict[str, Any]:
    """Return new access and refresh tokens of a session, which do not outlive it."""
    lifetime = _seconds_until(user_session.expires_at)
    authenticated_at = int(user_session.last_authenticated_at.timestamp())
    caller = Caller(user.id, user.role, user_session.id, authenticated_at=authenticated_at)
    access_token, seconds = tokens.issue_access_token(caller, lifetime)
    refresh_token = tokens.sign(tokens.REFRESH, user.id, lifetime, sid=user_session.id, jti=user_session.refresh_id)
    return {"access_token": access_token, "refresh_token": refresh_token, "token_type": "Bearer", "expires_in": seconds}


def _seconds_until(time: datetime) -> int:
    return round((time - utc_now()).total_seconds())
