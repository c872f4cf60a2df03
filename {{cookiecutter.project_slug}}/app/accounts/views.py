"""Routes for registration, login, logout and passwords."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.accounts import notices, refresh_tokens, service, sign_ins
from app.accounts.models import User
from app.accounts.problem_types import (
    ACCOUNT_SUSPENDED,
    EMAIL_TAKEN,
    INVALID_TOKEN,
    TOO_MANY_FAILED_SIGN_INS,
    WRONG_CREDENTIALS,
    WRONG_PASSWORD,
)
from app.accounts.registration import register_unverified
from app.accounts.schemas import (
    Credentials,
    ForgotPassword,
    Logout,
    Message,
    PasswordChange,
    PasswordReset,
    Profile,
    RefreshToken,
    Registration,
    Tokens,
)
from app.accounts.second_factor_schemas import SIGN_IN_RESULT
from app.accounts.tasks import record_login, send_reset_mail
from app.accounts.token_responses import (
    second_factor_response,
    session_lifetime,
    token_claims,
    token_pair,
    verifies_emails,
)
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_limit
from app.platform.api.idempotency import no_idempotency_key
from app.platform.api.rate_limits import no_target_limit, rate_limit, target_limit
from app.platform.database.base import db, utc_now
from app.platform.security import sessions, tokens
from app.platform.security.access import (
    account_deleted,
    allow_unverified,
    current_caller,
    login_required,
    public,
    unauthorized,
)
from app.platform.security.notices import notify
from app.platform.telemetry.objectives import UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problem_types import VALIDATION_FAILED
from app.platform.web.problems import Problem, raises, service_unavailable
from app.platform.web.route_policy import Objective

LOGIN = Objective(0.5, errors=0.02, availability=0.995)
REGISTER = Objective(1.0)

blueprint = Blueprint("auth", __name__, description="Registration, sessions and passwords.")

SUSPENDED = "This account is suspended. Contact the operators of this service."
RESET_EMAIL_QUEUED = "If an account with this e-mail exists, an e-mail with a link is on its way."


@blueprint.post("/auth/register")
@rate_limit("RATELIMIT_REGISTER")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(REGISTER)
@public("a new user has no account yet")
@blueprint.arguments(Registration())
@no_idempotency_key("the e-mail is unique: a repeated registration creates nothing, and has no user to keep it for")
@blueprint.response(201, Profile())
@blueprint.alt_response(
    202, schema=Message(), description="An e-mail with a link was sent, or one that explains why not."
)
@raises(EMAIL_TAKEN)
@target_limit("RATELIMIT_REGISTER", "email")
def register(registration: dict[str, Any]) -> User | Response:
    """Create an account.

    If the service sends e-mails, the response is 202, also if the e-mail has an account already: its owner gets an
    e-mail. Until the link of the e-mail is opened, the account can only be used to see and to erase it. If the address
    is registered again with another password before that, no password is valid, and the e-mail has a link to set one.
    """
    if verifies_emails():
        return register_unverified(registration)
    try:
        user = service.register(db.session(), **registration, origin=request_origin())
    except service.EmailTaken:
        raise Problem(
            EMAIL_TAKEN, "An account with this e-mail exists already.", errors={"email": ["Already taken."]}
        ) from None
    sign_ins.reset(user.email, user.id)
    return user


@blueprint.post("/auth/login")
@rate_limit("RATELIMIT_LOGIN")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(LOGIN)
@public("the e-mail and the password in the body are the credentials")
@blueprint.arguments(Credentials())
@blueprint.response(200, Tokens())
@blueprint.alt_response(200, schema=SIGN_IN_RESULT, description="The tokens, or that a second factor is due.")
@raises(WRONG_CREDENTIALS, ACCOUNT_SUSPENDED, TOO_MANY_FAILED_SIGN_INS)
@no_target_limit("`sign_ins` counts the failures of the account")
def login(credentials: dict[str, Any]) -> dict[str, Any] | Response:
    """Sign in with e-mail and password.

    An account with a second factor gets `mfa_required` and a token for `POST /auth/login/totp` instead of tokens.
    After several failures, further attempts must wait longer and longer: 429 with `Retry-After`. Networks that signed
    in to the account before count by themselves, and a new password by e-mail ends the wait.
    """
    with sign_ins.start_sign_in(credentials["email"]) as attempt:
        try:
            result = service.login(db.session(), **credentials, lifetime=session_lifetime(), origin=request_origin())
        except service.Suspended:
            attempt.succeeded()  # the password is right
            raise Problem(ACCOUNT_SUSPENDED, SUSPENDED) from None
        if result is None:
            sign_ins.record_failed_sign_in(credentials["email"])
            raise unauthorized("The e-mail or the password is wrong.", WRONG_CREDENTIALS)
        user, user_session = result
        if user_session is None:
            attempt.needs_second_factor()
            return second_factor_response(user)
        attempt.succeeded()
    pair = token_pair(user, user_session)
    sign_ins.signed_in(user.id)
    notices.signed_in(user, user_session)
    record_login.try_delay(user.id, utc_now().isoformat())
    return pair


@blueprint.post("/auth/refresh")
@rate_limit("RATELIMIT_DEFAULT")
@objective(UPDATE)
@public("the refresh token in the body is the credential")
@blueprint.arguments(RefreshToken())
@blueprint.response(200, Tokens())
@raises(INVALID_TOKEN)
@target_limit("RATELIMIT_TOKEN", "refresh_token")
def refresh(data: dict[str, str]) -> dict[str, Any]:
    """Exchange a refresh token for new tokens; using a refresh token twice ends the session."""
    claims = token_claims(tokens.REFRESH, data["refresh_token"])
    user_id, session_id = int(claims["sub"]), int(claims["sid"])
    try:
        user_session = refresh_tokens.rotate(
            db.session(),
            session_id=session_id,
            refresh_id=claims["jti"],
            lifetime=session_lifetime(),
            origin=request_origin(),
        )
    except refresh_tokens.TokenReused:
        sessions.revoke([session_id])
        message = "This token has been used before, so the session was ended. Sign in again."
        raise unauthorized(message, INVALID_TOKEN) from None
    except refresh_tokens.SessionEnded:
        raise unauthorized("The session has ended. Sign in again.", INVALID_TOKEN) from None
    user = service.get(db.session(), user_id)
    if user is None:
        raise account_deleted()
    return token_pair(user, user_session)


@blueprint.post("/auth/logout")
@rate_limit("RATELIMIT_DEFAULT")
@objective(UPDATE)
@login_required
@allow_unverified
@blueprint.arguments(Logout(), required=False)
@blueprint.response(204)
def logout(data: dict[str, bool]) -> None:
    """End this session or all sessions of the user; every replica rejects their tokens at once.

    The end of all sessions also revokes the user's API keys.
    """
    session_id = current_caller().session_id or 0
    ended = service.logout(
        db.session(),
        user_id=current_caller().user_id,
        session_id=session_id,
        everywhere=data["everywhere"],
        origin=request_origin(),
    )
    sessions.revoke(ended)


@blueprint.post("/auth/change-password")
@rate_limit("RATELIMIT_LOGIN")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@login_required
@blueprint.arguments(PasswordChange())
@blueprint.response(204)
@raises(WRONG_PASSWORD, TOO_MANY_FAILED_SIGN_INS)
def change_password(data: dict[str, str]) -> None:
    """Change the caller's password; every other session of the user ends, and the user's API keys are revoked."""
    user_id = current_caller().user_id
    with sign_ins.start_password_change(user_id) as attempt:
        try:
            ended = service.change_password(
                db.session(),
                user_id=user_id,
                session_id=current_caller().session_id,
                current=data["current_password"],
                new=data["new_password"],
                origin=request_origin(),
            )
        except service.WrongPassword:
            sign_ins.record_failed_password_change(user_id)
            raise Problem(
                WRONG_PASSWORD, "The current password is wrong.", errors={"current_password": ["Is wrong."]}
            ) from None
        except service.UnsuitablePassword as error:
            attempt.succeeded()  # the current password is right
            raise _unsuitable(error) from None
        attempt.succeeded()
    sessions.revoke(ended)
    notify(user_id, "Your password was changed.")


@blueprint.post("/auth/forgot-password")
@rate_limit("RATELIMIT_FORGOT_PASSWORD")
@objective(UPDATE)
@public("a user without the password cannot sign in")
@blueprint.arguments(ForgotPassword())
@blueprint.response(202, Message())
@target_limit("RATELIMIT_ACCOUNT_EMAIL", "email")
def forgot_password(data: dict[str, str]) -> dict[str, str]:
    """Send an e-mail with a link, valid for 30 minutes, to set a new password.

    The response is the same if no account has this e-mail.
    """
    if not send_reset_mail.try_apply_async((data["email"],), argsrepr="(an e-mail)"):
        raise service_unavailable("E-mails cannot be queued right now. Try again shortly.")
    return {"message": RESET_EMAIL_QUEUED}


@blueprint.post("/auth/reset-password")
@rate_limit("RATELIMIT_DEFAULT")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@public("the token of the e-mail in the body is the credential")
@blueprint.arguments(PasswordReset())
@blueprint.response(204)
@raises(INVALID_TOKEN)
@target_limit("RATELIMIT_TOKEN", "token")
def reset_password(data: dict[str, str]) -> None:
    """Set a new password; every session of the user ends, and the user's API keys are revoked."""
    claims = token_claims(tokens.RESET, data["token"])
    user_id = int(claims["sub"])
    try:
        ended = service.reset_password(
            db.session(),
            user_id=user_id,
            fingerprint=str(claims.get("fingerprint")),
            password=data["new_password"],
            origin=request_origin(),
        )
    except service.UnsuitablePassword as error:
        raise _unsuitable(error) from None
    except service.PasswordResetRejected:
        message = "This link has been used, or the password or account has changed since."
        raise unauthorized(message, INVALID_TOKEN) from None
    sessions.revoke(ended)
    if user := service.get(db.session(), user_id):
        sign_ins.reset(user.email, user_id)
    notify(user_id, "A new password was set through the link of an e-mail.")


def _unsuitable(error: service.UnsuitablePassword) -> Problem:
    return Problem(VALIDATION_FAILED, "The request is invalid: see errors.", errors={"new_password": [str(error)]})
