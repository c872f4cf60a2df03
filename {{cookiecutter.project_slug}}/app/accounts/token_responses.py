"""The tokens that sign-ins return, and the claims of those that requests contain."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Response, current_app, jsonify

from app.accounts import service, totp, verification
from app.accounts.models import User, UserSession
from app.accounts.problem_types import INVALID_TOKEN
from app.accounts.settings import AccountsSettings
from app.accounts.user_sessions import Lifetime
from app.platform.database.base import db, utc_now
from app.platform.security import tokens
from app.platform.security.access import unauthorized
from app.platform.settings.declarations import settings_of
from app.platform.web.caller import Caller
from app.platform.web.client_address import request_origin

MFA_TOKEN_SECONDS = 300


def session_lifetime() -> Lifetime:
    """Return how long sessions live."""
    settings = settings_of(current_app, AccountsSettings)
    return Lifetime(timedelta(seconds=settings.REFRESH_TOKEN_SECONDS), timedelta(seconds=settings.SESSION_MAX_SECONDS))


def verifies_emails() -> bool:
    """Whether new accounts must confirm their e-mail: without a mail server, every account counts as verified."""
    return settings_of(current_app).MAIL_SERVER is not None


def token_pair(user: User, user_session: UserSession) -> dict[str, Any]:
    """Return new access and refresh tokens of a session, which do not outlive it."""
    lifetime = _seconds_until(user_session.expires_at)
    access_token, seconds = tokens.issue_access_token(_caller(user, user_session), lifetime)
    refresh_token = tokens.sign(tokens.REFRESH, user.id, lifetime, sid=user_session.id, jti=user_session.refresh_id)
    return {"access_token": access_token, "refresh_token": refresh_token, "token_type": "Bearer", "expires_in": seconds}


def _caller(user: User, user_session: UserSession) -> Caller:
    return Caller(
        user.id,
        user.role,
        user_session.id,
        verified=_is_verified(user),
        mfa=user.role == "admin" and totp.is_enabled(db.session(), user.id),  # no rule for others needs the query
        authenticated_at=int(user_session.last_authenticated_at.timestamp()),
    )


def _is_verified(user: User) -> bool:
    if user.unverified_since is not None and not verifies_emails():
        verification.accept(db.session(), user, request_origin())
    return user.unverified_since is None


def _seconds_until(time: datetime) -> int:
    return round((time - utc_now()).total_seconds())


def second_factor_response(user: User) -> Response:
    """Return the response to a right password of an account with a second factor: a token, but no access."""
    fingerprint = service.password_fingerprint(user)
    token = tokens.sign(tokens.MFA, user.id, MFA_TOKEN_SECONDS, fingerprint=fingerprint)
    return jsonify(mfa_required=True, mfa_token=token)


def token_claims(kind: tokens.TokenType, token: str) -> dict[str, Any]:
    """Return the claims of a token of this type; raises a 401 problem for an invalid one."""
    try:
        return tokens.decode(kind, token)
    except tokens.TokenError as error:
        raise unauthorized(str(error), INVALID_TOKEN) from None
