"""Routes that confirm and change the e-mail address of an account."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from app.accounts import email_changes, notices, service, sign_ins, verification
from app.accounts.email_tasks import send_email_change_mail, send_verification_mail
from app.accounts.password_check import current_password
from app.accounts.problem_types import EMAIL_TAKEN, INVALID_TOKEN, TOO_MANY_FAILED_SIGN_INS, WRONG_PASSWORD
from app.accounts.registration import NOT_QUEUED
from app.accounts.schemas import ForgotPassword, Message
from app.accounts.second_factor_schemas import EmailChange, EmailToken
from app.accounts.token_responses import token_claims, verifies_emails
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_limit
from app.platform.api.rate_limits import rate_limit, target_limit
from app.platform.database.base import db
from app.platform.security import sessions, tokens
from app.platform.security.access import account_deleted, current_caller, login_required, public, unauthorized
from app.platform.telemetry.objectives import UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problem_types import VALIDATION_FAILED
from app.platform.web.problems import Problem, raises, service_unavailable

blueprint = Blueprint("email", __name__, description="Confirmation and change of e-mail addresses.")

ADDRESS_TAKEN = "Another account has this e-mail."
LINK_QUEUED = "If an account with this e-mail waits for its confirmation, an e-mail with a link is on its way."
LINKS_QUEUED = "An e-mail with a link is on its way to the old and to the new address. The change needs both links."
CHANGED = "The e-mail address has changed."
ONE_LINK_LEFT = "Confirmed. The e-mail address changes when the link in the other e-mail is opened, too."


@blueprint.post("/auth/verify-email")
@rate_limit("RATELIMIT_DEFAULT")
@objective(UPDATE)
@public("the token of the e-mail in the body is the credential")
@blueprint.arguments(EmailToken())
@blueprint.response(204)
@raises(INVALID_TOKEN)
@target_limit("RATELIMIT_TOKEN", "token")
def verify(data: dict[str, str]) -> None:
    """Confirm the e-mail address of a new account; refreshed tokens then have all rights of the account."""
    claims = token_claims(tokens.VERIFICATION, data["token"])
    fingerprint = str(claims.get("fingerprint"))
    try:
        user = verification.verify(
            db.session(), user_id=int(claims["sub"]), expected=fingerprint, origin=request_origin()
        )
    except verification.VerificationRejected:
        message = "This link has been used already, or the address has changed since it was sent."
        raise unauthorized(message, INVALID_TOKEN) from None
    sign_ins.reset(user.email, user.id)


@blueprint.post("/auth/resend-verification")
@rate_limit("RATELIMIT_FORGOT_PASSWORD")
@objective(UPDATE)
@public("a user whose e-mail was lost may not be signed in")
@blueprint.arguments(ForgotPassword())
@blueprint.response(202, Message())
@target_limit("RATELIMIT_ACCOUNT_EMAIL", "email")
def resend(data: dict[str, str]) -> dict[str, str]:
    """Send another e-mail with a link, valid for 24 hours, to confirm the address of a new account.

    The response is the same if no account has this e-mail, or has confirmed it.
    """
    if not send_verification_mail.try_apply_async((data["email"],), argsrepr="(an e-mail)"):
        raise service_unavailable(NOT_QUEUED)
    return {"message": LINK_QUEUED}


@blueprint.post("/auth/change-email")
@rate_limit("RATELIMIT_LOGIN")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@login_required
@blueprint.arguments(EmailChange())
@blueprint.response(202, Message())
@blueprint.alt_response(200, schema=Message(), description="The service sends no e-mails, so the change is done.")
@raises(WRONG_PASSWORD, TOO_MANY_FAILED_SIGN_INS, EMAIL_TAKEN)
@target_limit("RATELIMIT_ACCOUNT_EMAIL", "email")
def change(data: dict[str, str]) -> dict[str, str] | Response:
    """Change the e-mail address: the links in an e-mail to the old and in one to the new address confirm it.

    Every other session of the user ends when both are confirmed. If the service sends no e-mails, it changes at once.
    """
    caller = current_caller()
    with current_password(caller.user_id, data["current_password"]) as user:
        unchanged = user.email == data["email"]
    if unchanged:
        errors = {"email": ["Must be another address."]}
        raise Problem(VALIDATION_FAILED, "The account has this e-mail already.", errors=errors)
    try:
        return start_change(caller.user_id, data["email"], session_id=caller.session_id)
    except service.NoSuchUser:
        raise account_deleted() from None


def start_change(
    user_id: int, email: str, *, session_id: int | None, needs_old: bool = True
) -> dict[str, str] | Response:
    """Change an e-mail at once, or store the change and send the links; raises `NoSuchUser`.

    The session with this id stays when the others end.
    """
    asked: dict[str, Any] = {
        "actor_id": current_caller().user_id,
        "session_id": session_id,
        "origin": request_origin(),
    }
    session = db.session()
    try:
        if not verifies_emails():
            sessions.revoke(email_changes.change_now(session, user_id, email, **asked))
            return jsonify(message=CHANGED)
        email_changes.request_change(session, user_id, email, needs_old=needs_old, **asked)
    except service.EmailTaken:
        raise Problem(EMAIL_TAKEN, ADDRESS_TAKEN, errors={"email": ["Already taken."]}) from None
    sides: tuple[email_changes.Side, ...] = ("old", "new") if needs_old else ("new",)
    queued = [send_email_change_mail.try_delay(user_id, side) for side in sides]
    if not all(queued):
        raise service_unavailable(NOT_QUEUED)
    return {"message": LINKS_QUEUED if needs_old else "An e-mail with a link is on its way to the new address."}


@blueprint.post("/auth/confirm-email")
@rate_limit("RATELIMIT_DEFAULT")
@objective(UPDATE)
@public("the token of the e-mail in the body is the credential")
@blueprint.arguments(EmailToken())
@blueprint.response(200, Message())
@raises(INVALID_TOKEN, EMAIL_TAKEN)
@target_limit("RATELIMIT_TOKEN", "token")
def confirm(data: dict[str, str]) -> dict[str, str]:
    """Confirm the change of an e-mail address at the old or at the new address."""
    claims = token_claims(tokens.EMAIL_CHANGE, data["token"])
    link_id, side, user_id = str(claims.get("link")), str(claims.get("side")), int(claims["sub"])
    try:
        result = email_changes.confirm(
            db.session(), user_id=user_id, link_id=link_id, side=side, origin=request_origin()
        )
    except email_changes.ChangeRejected:
        message = "This link has been used already, or the change has ended: another one, or a new password, ends it."
        raise unauthorized(message, INVALID_TOKEN) from None
    except service.EmailTaken:
        raise Problem(EMAIL_TAKEN, f"{ADDRESS_TAKEN} The e-mail address of this account stays as it was.") from None
    if result is None:
        return {"message": ONE_LINK_LEFT}
    sessions.revoke(result.ended)
    sign_ins.reset(result.user.email, user_id)
    notices.email_changed(user_id, result.old_email)
    return {"message": CHANGED}
