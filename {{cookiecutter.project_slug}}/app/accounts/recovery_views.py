"""Routes by which admins help users who lost their second factor or their mailbox."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.accounts import second_factor, service
from app.accounts.admin_views import NO_SUCH_USER, blueprint
from app.accounts.problem_types import EMAIL_TAKEN
from app.accounts.schemas import EmptyBody, Message, NewEmail
from app.accounts.verification_views import start_change
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security import sessions
from app.platform.security.access import admin_required, current_caller
from app.platform.telemetry.objectives import UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises

__all__ = ["blueprint"]  # with the routes of this module


@blueprint.post("/admin/users/<int:user_id>/reset-totp")
@rate_limit("RATELIMIT_ADMIN_RECOVERY")
@objective(UPDATE)
@admin_required
@blueprint.arguments(EmptyBody(), required=False)
@blueprint.response(204)
@blueprint.alt_response(404, description=NO_SUCH_USER)
def reset_totp(_data: dict[str, Any], user_id: int) -> None:
    """Remove the second factor of a user who cannot use it any more, if there is one; the sessions end."""
    try:
        ended = second_factor.reset(db.session(), user_id, actor_id=current_caller().user_id, origin=request_origin())
    except service.NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    sessions.revoke(ended)


@blueprint.post("/admin/users/<int:user_id>/change-email")
@rate_limit("RATELIMIT_ADMIN_RECOVERY")
@objective(UPDATE)
@admin_required
@blueprint.arguments(NewEmail())
@blueprint.response(202, Message())
@blueprint.alt_response(200, schema=Message(), description="The service sends no e-mails, so the change is done.")
@blueprint.alt_response(404, description=NO_SUCH_USER)
@raises(EMAIL_TAKEN)
def change_email(data: dict[str, str], user_id: int) -> dict[str, str] | Response:
    """Change the e-mail of a user who lost the mailbox: only the new address confirms it. The user's sessions end."""
    try:
        return start_change(user_id, data["email"], session_id=None, needs_old=False)
    except service.NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
