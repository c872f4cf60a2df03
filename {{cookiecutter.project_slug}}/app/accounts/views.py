"""Routes to make an account, sign in and out, and replace a password."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import current_app
from kombu.exceptions import OperationalError
from redis import RedisError

from app.accounts import service
from app.accounts.models import User
from app.accounts.schemas import (
    Credentials,
    ForgottenPassword,
    PasswordChange,
    PasswordReset,
    Profile,
    RefreshToken,
    Registration,
    Sent,
    SignOut,
    Tokens,
)
from app.accounts.tasks import note_login, send_reset_mail
from app.api import Blueprint
from app.audit.origin import origin
from app.database import db, now
from app.errors import Problem, unavailable
from app.limits import limit
from app.observability.slo.objectives import CHANGE, LOGIN, REGISTER, objective
from app.security import sessions, tokens
from app.security.access import caller, public, signed_in, unauthorized
from app.settings import settings_of

blueprint = Blueprint("auth", __name__, description="Making an account, signing in and out, passwords.")

MAIL_UNDER_WAY = "If there is an account with this e-mail, a mail with a link is on its way."


@blueprint.post("/auth/register")
@limit("RATELIMIT_REGISTER")
@objective(REGISTER)
@public("nobody has an account yet")
@blueprint.arguments(Registration())
@blueprint.response(201, Profile())
@blueprint.alt_response(409, description="There is an account with this e-mail.")
def register(registration: dict[str, Any]) -> User:
    """Make an account."""
    try:
        return service.register(db.session(), **registration, origin=origin())
    except service.EmailTaken:
        raise Problem(409, "There is an account with this e-mail.", errors={"email": ["Already taken."]}) from None


@blueprint.post("/auth/login")
@limit("RATELIMIT_LOGIN")
@objective(LOGIN)
@public("nobody is signed in yet")
@blueprint.arguments(Credentials())
@blueprint.response(200, Tokens())
@blueprint.alt_response(401, description="E-mail or password is wrong.")
def login(credentials: dict[str, Any]) -> dict[str, Any]:
    """Sign in with e-mail and password."""
    signed = service.sign_in(db.session(), **credentials, lifetime=_refresh_lifetime(), origin=origin())
    if signed is None:
        raise unauthorized("E-mail or password is wrong.")
    user, begun = signed
    answer = _tokens(user, begun.id, begun.refresh_id)
    note_login.send_if_possible(user.id, now().isoformat())
    return answer


@blueprint.post("/auth/refresh")
@limit("RATELIMIT_DEFAULT")
@objective(CHANGE)
@public("the refresh token in the body is the proof")
@blueprint.arguments(RefreshToken())
@blueprint.response(200, Tokens())
@blueprint.alt_response(401, description="The token is no good, or has been exchanged already.")
def refresh(given: dict[str, str]) -> dict[str, Any]:
    """Exchange a refresh token for new tokens; one that comes back a second time ends the session."""
    claims = _claims(tokens.REFRESH, given["refresh_token"])
    user_id, session_id = int(claims["sub"]), int(claims["sid"])
    try:
        refresh_id = service.renew_session(
            db.session(),
            session_id=session_id,
            refresh_id=claims["jti"],
            lifetime=_refresh_lifetime(),
            origin=origin(),
        )
    except service.TokenReused:
        sessions.end([session_id])
        raise unauthorized("This token has been used before, so the session has been ended. Sign in again.") from None
    except service.SessionEnded:
        raise unauthorized("The session has ended. Sign in again.") from None
    user = service.get(db.session(), user_id)
    if user is None:
        raise unauthorized("This account is gone. Sign in with another.")
    return _tokens(user, session_id, refresh_id)


@blueprint.post("/auth/logout")
@limit("RATELIMIT_DEFAULT")
@objective(CHANGE)
@signed_in
@blueprint.arguments(SignOut(), required=False)
@blueprint.response(204)
def logout(given: dict[str, bool]) -> None:
    """End this session, on every replica at once; or all of one's sessions."""
    session_id = caller().session_id or 0
    ended = service.sign_out(
        db.session(), user_id=caller().user_id, session_id=session_id, everywhere=given["everywhere"], origin=origin()
    )
    sessions.end(ended)


@blueprint.post("/auth/change-password")
@limit("RATELIMIT_LOGIN")
@objective(CHANGE)
@signed_in
@blueprint.arguments(PasswordChange())
@blueprint.response(204)
def change_password(given: dict[str, str]) -> None:
    """Change one's password; every other session ends."""
    try:
        ended = service.change_password(
            db.session(),
            user_id=caller().user_id,
            session_id=caller().session_id,
            current=given["current_password"],
            new=given["new_password"],
            origin=origin(),
        )
    except service.WrongPassword:
        raise Problem(403, "The current password is wrong.", errors={"current_password": ["Is wrong."]}) from None
    sessions.end(ended)


@blueprint.post("/auth/forgot-password")
@limit("RATELIMIT_FORGOT_PASSWORD")
@objective(CHANGE)
@public("whoever has forgotten the password cannot sign in")
@blueprint.arguments(ForgottenPassword())
@blueprint.response(202, Sent())
def forgot_password(given: dict[str, str]) -> dict[str, str]:
    """Have a link mailed that replaces the password within 30 minutes; the answer is the same without an account."""
    try:
        send_reset_mail.apply_async((given["email"],), argsrepr="(an e-mail)")
    except (OperationalError, RedisError):
        raise unavailable("Mails cannot be sent right now. Try again shortly.") from None
    return {"message": MAIL_UNDER_WAY}


@blueprint.post("/auth/reset-password")
@limit("RATELIMIT_DEFAULT")
@objective(CHANGE)
@public("the token of the mail in the body is the proof")
@blueprint.arguments(PasswordReset())
@blueprint.response(204)
@blueprint.alt_response(401, description="The token is no good, too old, or has been used.")
def reset_password(given: dict[str, str]) -> None:
    """Replace a forgotten password; every session ends."""
    claims = _claims(tokens.RESET, given["token"])
    try:
        ended = service.reset_password(
            db.session(),
            user_id=int(claims["sub"]),
            mark=str(claims.get("mark")),
            password=given["new_password"],
            origin=origin(),
        )
    except service.ResetRefused:
        raise unauthorized("This link has been used, or the password has been changed since.") from None
    sessions.end(ended)


def _refresh_lifetime() -> timedelta:
    return timedelta(seconds=settings_of(current_app).REFRESH_TOKEN_SECONDS)


def _tokens(user: User, session_id: int, refresh_id: str) -> dict[str, Any]:
    access, seconds = tokens.issue(tokens.Caller(user.id, user.role, session_id))
    lifetime = settings_of(current_app).REFRESH_TOKEN_SECONDS
    renewal = tokens.sign(tokens.REFRESH, user.id, lifetime, sid=session_id, jti=refresh_id)
    return {"access_token": access, "refresh_token": renewal, "token_type": "Bearer", "expires_in": seconds}


def _claims(kind: tokens.Kind, token: str) -> dict[str, Any]:
    try:
        return tokens.read(kind, token)
    except tokens.TokenError as error:
        raise unauthorized(str(error)) from None
