"""Routes by which admins help users who lost their second factor or their mailbox."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.accounts import second_factor, service
from app.accounts.admin_views import NO_SUCH_USER, blueprint, reject_own_account
from app.accounts.problem_types import EMAIL_TAKEN, OWN_ACCOUNT
from app.accounts.schemas import EmptyBody, Message, NewEmail
from app.accounts.verification_views import start_change
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security import sessions
from app.platform.security.access import admin_required, current_caller, recent_login_required
from app.platform.security.notices import notify
from app.platform.telemetry.objectives import UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises

__all__ = ["blueprint"]  # with the routes of this module

OWN_SECOND_FACTOR = "You cannot reset your own second factor here: POST /auth/totp/disable removes it."
OWN_EMAIL = "You cannot change your own e-mail here: POST /auth/change-email changes it."


@blueprint.post("/admin/users/<int:user_id>/reset-totp")
@rate_limit("RATELIMIT_ADMIN_RECOVERY")
@objective(UPDATE)
@recent_login_required
@admin_required
@blueprint.arguments(EmptyBody(), required=False)
@blueprint.response(204)
@blueprint.alt_response(404, description=NO_SUCH_USER)
@raises(OWN_ACCOUNT)
def reset_totp(_data: dict[str, Any], user_id: int) -> None:
    """Remove the second factor of a user who cannot use it any more, if there is one; the sessions end."""
    reject_own_account(user_id, OWN_SECOND_FACTOR)
    try:
        ended = second_factor.reset(db.session(), user_id, actor_id=current_caller().user_id, origin=request_origin())
    except service.NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    if ended is None:
        return
    sessions.revoke(ended)
    notify(user_id, "An admin removed the second factor of your account.")


@blueprint.post("/admin/users/<int:user_id>/change-email")
@rate_limit("RATELIMIT_ADMIN_RECOVERY")
@objective(UPDATE)
@recent_login_required
@admin_required
@blueprint.arguments(NewEmail())
@blueprint.response(202, Message())
@blueprint.alt_response(200, schema=Message(), description="The service sends no e-mails, so the change is done.")
@blueprint.alt_response(404, description=NO_SUCH_USER)
@raises(EMAIL_TAKEN, OWN_ACCOUNT)
def change_email(data: dict[str, str], user_id: int) -> dict[str, str] | Response:
    """Change the e-mail of a user who lost the mailbox: only the new address confirms it.

    The old address gets a notice. When the new address has confirmed the change, the user's sessions end.
    """
    reject_own_account(user_id, OWN_EMAIL)
    try:
        result = start_change(user_id, data["email"], session_id=None, needs_old=False)
    except service.NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    notify(user_id, "An admin asked for a new e-mail address of your account, which changes once that one confirms it.")
    return result
