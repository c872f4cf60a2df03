"""The tokens that sign-ins return, and the claims of those that requests contain."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, current_app, jsonify

from app.accounts import service, totp
from app.accounts.models import User
from app.accounts.settings import AccountsSettings
from app.platform.database.base import db
from app.platform.security import tokens
from app.platform.security.access import unauthorized
from app.platform.settings.declarations import settings_of
from app.platform.web.caller import Caller

MFA_TOKEN_SECONDS = 300


def refresh_lifetime() -> timedelta:
    """Return how long a session lasts without use."""
    return timedelta(seconds=settings_of(current_app, AccountsSettings).REFRESH_TOKEN_SECONDS)


def verifies_emails() -> bool:
    """Whether new accounts must confirm their e-mail: without a mail server, every account counts as verified."""
    return settings_of(current_app).MAIL_SERVER is not None


def token_response(user: User, session_id: int, refresh_id: str) -> dict[str, Any]:
    """Return the tokens of a session."""
    verified = user.unverified_since is None or not verifies_emails()
    mfa = user.role == "admin" and totp.is_enabled(db.session(), user.id)  # no rule for others needs the query
    access_token, seconds = tokens.issue_access_token(
        Caller(user.id, user.role, session_id, verified=verified, mfa=mfa)
    )
    lifetime = settings_of(current_app, AccountsSettings).REFRESH_TOKEN_SECONDS
    refresh_token = tokens.sign(tokens.REFRESH, user.id, lifetime, sid=session_id, jti=refresh_id)
    return {"access_token": access_token, "refresh_token": refresh_token, "token_type": "Bearer", "expires_in": seconds}


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
        raise unauthorized(str(error)) from None
