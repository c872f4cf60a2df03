"""Routes of the second factor: setting it up, signing in with it, and removing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import current_app

from app.accounts import notices, second_factor, service, sign_ins, totp
from app.accounts.password_check import current_password
from app.accounts.problem_types import (
    INVALID_TOKEN,
    SECOND_FACTOR_OFF,
    SECOND_FACTOR_ON,
    TOO_MANY_FAILED_SIGN_INS,
    WRONG_CODE,
    WRONG_PASSWORD,
    WRONG_SIGN_IN_CODE,
)
from app.accounts.schemas import Tokens
from app.accounts.second_factor_schemas import (
    RecoveryCodes,
    SecondFactor,
    TotpCode,
    TotpEnrolment,
    TotpProof,
    TotpSecret,
    TotpState,
)
from app.accounts.tasks import record_login
from app.accounts.token_responses import session_lifetime, token_claims, token_pair
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_limit
from app.platform.api.rate_limits import rate_limit, target_limit
from app.platform.database.base import db, utc_now
from app.platform.security import sessions, tokens
from app.platform.security.access import account_deleted, current_caller, login_required, public, unauthorized
from app.platform.security.notices import notify
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.objectives import READ, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises

blueprint = Blueprint("totp", __name__, description="The second factor of an account: codes of an authenticator app.")

ALREADY_ENABLED = "The account has a second factor already."
NOT_ENABLED = "The account has no second factor."
CODE_IS_WRONG = "The code is wrong or has been used already."
FAILED = "user.totp_failed"  # the action in the audit log


@blueprint.post("/auth/totp/enroll")
@rate_limit("RATELIMIT_TOTP")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@login_required
@blueprint.arguments(TotpEnrolment())
@blueprint.response(200, TotpSecret())
@raises(WRONG_PASSWORD, TOO_MANY_FAILED_SIGN_INS, SECOND_FACTOR_ON)
def enroll(data: dict[str, str]) -> dict[str, str]:
    """Return a secret for an authenticator app; it replaces one that was not confirmed."""
    with current_password(current_caller().user_id, data["current_password"]) as user:
        pass
    try:
        secret = second_factor.enroll(db.session(), user)
    except second_factor.AlreadyEnabled:
        raise Problem(SECOND_FACTOR_ON, f"{ALREADY_ENABLED} Remove it first.") from None
    except service.NoSuchUser:
        raise account_deleted() from None
    issuer = settings_of(current_app).SERVICE_NAME
    return {"secret": secret, "otpauth_uri": totp.provisioning_uri(secret, user.email, issuer)}


@blueprint.post("/auth/totp/confirm")
@rate_limit("RATELIMIT_TOTP")
@objective(UPDATE)
@login_required
@blueprint.arguments(TotpCode())
@blueprint.response(200, RecoveryCodes())
@raises(WRONG_CODE, SECOND_FACTOR_OFF)
def confirm(data: dict[str, str]) -> dict[str, Any]:
    """Turn the second factor on with a code of the app; every other session ends. Shows the recovery codes once."""
    caller = current_caller()
    try:
        codes, ended = second_factor.confirm(
            db.session(), caller.user_id, data["code"], session_id=caller.session_id, origin=request_origin()
        )
    except (second_factor.NotEnabled, second_factor.AlreadyEnabled):
        raise Problem(
            SECOND_FACTOR_OFF, "No secret waits for its confirmation: request one first (POST /auth/totp/enroll)."
        ) from None
    except second_factor.WrongCode:
        raise _wrong_code(caller.user_id, caller.user_id) from None
    sessions.revoke(ended)
    notify(caller.user_id, "A second factor was turned on for your account.")
    return {"recovery_codes": codes}


@blueprint.get("/auth/totp")
@rate_limit("RATELIMIT_READ")
@objective(READ)
@login_required
@blueprint.response(200, TotpState())
def state() -> dict[str, Any]:
    """Return since when the second factor is on, and how many recovery codes are left."""
    session, user_id = db.session(), current_caller().user_id
    return {
        "enabled_at": totp.enabled_at(session, user_id),
        "recovery_codes_left": totp.count_recovery_codes(session, user_id),
    }


@blueprint.post("/auth/totp/recovery-codes")
@rate_limit("RATELIMIT_TOTP")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@login_required
@blueprint.arguments(TotpProof())
@blueprint.response(200, RecoveryCodes())
@raises(WRONG_PASSWORD, WRONG_CODE, TOO_MANY_FAILED_SIGN_INS, SECOND_FACTOR_OFF)
def replace_recovery_codes(data: dict[str, str]) -> dict[str, Any]:
    """Replace all recovery codes, with the password and a code or a recovery code. Shows the new ones once."""
    with _proof(data) as (user_id, proof):
        codes = second_factor.replace_recovery_codes(db.session(), user_id, *proof, origin=request_origin())
    notify(user_id, f"The recovery codes of your account were replaced{_means(data)}.")
    return {"recovery_codes": codes}


@blueprint.post("/auth/totp/disable")
@rate_limit("RATELIMIT_TOTP")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@login_required
@blueprint.arguments(TotpProof())
@blueprint.response(204)
@raises(WRONG_PASSWORD, WRONG_CODE, TOO_MANY_FAILED_SIGN_INS, SECOND_FACTOR_OFF)
def disable(data: dict[str, str]) -> None:
    """Remove the second factor, with the password and a code or a recovery code; every session ends."""
    with _proof(data) as (user_id, proof):
        ended = second_factor.disable(db.session(), user_id, *proof, origin=request_origin())
    sessions.revoke(ended)
    notify(user_id, f"The second factor of your account was removed{_means(data)}.")


@blueprint.post("/auth/login/totp")
@rate_limit("RATELIMIT_TOTP")
@objective(UPDATE)
@public("the token of the first step and the code in the body are the credentials")
@blueprint.arguments(SecondFactor())
@blueprint.response(200, Tokens())
@raises(INVALID_TOKEN, WRONG_SIGN_IN_CODE, TOO_MANY_FAILED_SIGN_INS)
@target_limit("RATELIMIT_TOKEN", "mfa_token")
def login(data: dict[str, str]) -> dict[str, Any]:
    """Complete a sign-in with the token of the first step and a code, or a recovery code if the app is lost.

    After several wrong codes, further attempts must wait longer and longer.
    """
    claims = token_claims(tokens.MFA, data["mfa_token"])
    user_id = int(claims["sub"])
    with sign_ins.start_second_step(user_id) as attempt:
        try:
            user, user_session = second_factor.sign_in(
                db.session(),
                user_id=user_id,
                fingerprint=str(claims.get("fingerprint")),
                code=data.get("code"),
                recovery_code=data.get("recovery_code"),
                lifetime=session_lifetime(),
                origin=request_origin(),
            )
        except second_factor.SignInOutdated:
            attempt.needs_second_factor()
            raise unauthorized("The account has changed since the first step. Sign in again.", INVALID_TOKEN) from None
        except second_factor.WrongCode:
            sign_ins.record_failure(FAILED, user_id, actor_id=None)
            raise unauthorized(CODE_IS_WRONG, WRONG_SIGN_IN_CODE) from None
        attempt.succeeded()
    pair = token_pair(user, user_session)
    sign_ins.second_step_passed(user.email)
    sign_ins.signed_in(user_id)
    notices.signed_in(user, user_session)
    if means := _means(data):
        notify(user_id, f"Someone signed in to your account{means}.")
    record_login.try_delay(user_id, utc_now().isoformat())
    return pair


def _means(data: dict[str, str]) -> str:
    return "" if "code" in data else " with a recovery code"


def _wrong_code(user_id: int, actor_id: int) -> Problem:
    sign_ins.record_failure(FAILED, user_id, actor_id=actor_id)
    return Problem(WRONG_CODE, CODE_IS_WRONG, errors={"code": ["Is wrong."]})


@contextmanager
def _proof(data: dict[str, str]) -> Iterator[tuple[int, tuple[str | None, str | None]]]:
    """Check the password; yield the id of the caller, and the code and the recovery code for the second factor."""
    user_id = current_caller().user_id
    if not totp.is_enabled(db.session(), user_id):
        raise Problem(SECOND_FACTOR_OFF, NOT_ENABLED)
    with current_password(user_id, data["current_password"]):
        try:
            yield user_id, (data.get("code"), data.get("recovery_code"))
        except second_factor.NotEnabled:
            raise Problem(SECOND_FACTOR_OFF, NOT_ENABLED) from None
        except second_factor.WrongCode:
            raise _wrong_code(user_id, user_id) from None
