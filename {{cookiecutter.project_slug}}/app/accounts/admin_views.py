"""Routes that manage users, for admins."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import current_app

from app.accounts import administration
from app.accounts.models import User
from app.accounts.problem_types import LAST_ADMIN, OWN_ACCOUNT, USER_SUSPENDED
from app.accounts.schemas import EmptyBody, Message, RoleChange, UserPage, UserQuery, UserRecord
from app.accounts.service import LastAdmin, NoSuchUser, Suspended
from app.accounts.tasks import send_reset_mail
from app.audit import service as audit
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_limit
from app.platform.api.conditional import checks_if_match, etagged, require_match
from app.platform.api.pagination import page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security import sessions
from app.platform.security.access import admin_required, current_caller, recent_login_required
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.objectives import LIST, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises, service_unavailable

blueprint = Blueprint("admin", __name__, description="User management, for admins.")

NO_SUCH_USER = "No user has this id."
NO_MAIL_SERVER = (
    "The password is invalid now. This service has no mail server, so the user gets no link: set MAIL_SERVER, and let "
    "the user request one (POST /auth/forgot-password)."
)
USER_RECORD = UserRecord()


@blueprint.get("/admin/users")
@rate_limit("RATELIMIT_ADMIN_USERS")
@objective(LIST)
@admin_required
@blueprint.arguments(UserQuery(), location="query")
@blueprint.response(200, UserPage())
def users(query: dict[str, Any]) -> dict[str, Any]:
    """List all users, newest first."""
    session, actor_id = db.session(), current_caller().user_id
    found = page(administration.users(session, **query), query["limit"], "created_at", "id")
    audit.record_read(session, "users", query, actor_id=actor_id, origin=request_origin())
    return found


@blueprint.put("/admin/users/<int:user_id>/role")
@rate_limit("RATELIMIT_ADMIN_ROLE")
@objective(UPDATE)
@recent_login_required
@admin_required
@blueprint.arguments(RoleChange())
@etagged
@blueprint.response(200, USER_RECORD)
@checks_if_match
@blueprint.alt_response(404, description=NO_SUCH_USER)
@raises(LAST_ADMIN)
def change_role(data: dict[str, str], user_id: int) -> User:
    """Change the role of a user; the user's sessions end."""
    try:
        user, ended = administration.change_role(
            db.session(),
            user_id,
            data["role"],
            origin=request_origin(),
            actor_id=current_caller().user_id,
            check=partial(require_match, USER_RECORD),
        )
    except NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    except LastAdmin:
        raise Problem(LAST_ADMIN, "This is the last admin. Give another user the role admin first.") from None
    sessions.revoke(ended)
    return user


@blueprint.post("/admin/users/<int:user_id>/reset-password")
@rate_limit("RATELIMIT_ADMIN_RESET_PASSWORD")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@recent_login_required
@admin_required
@blueprint.arguments(EmptyBody(), required=False)
@blueprint.response(202, Message())
@blueprint.alt_response(404, description=NO_SUCH_USER)
@raises(USER_SUSPENDED, OWN_ACCOUNT)
def reset_password(_data: dict[str, Any], user_id: int) -> dict[str, str]:
    """Invalidate a user's password, end the user's sessions, revoke the user's API keys, and e-mail a link.

    The link leads to the page that sets a new password. Without a mail server, the user cannot sign in until there is
    one.
    """
    reject_own_account(user_id, "You cannot reset your own password here: POST /auth/change-password changes it.")
    actor_id = current_caller().user_id
    try:
        user, ended = administration.force_reset(db.session(), user_id, origin=request_origin(), actor_id=actor_id)
    except NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    except Suspended:
        raise Problem(USER_SUSPENDED, "This user is suspended. Unsuspend the user first.") from None
    sessions.revoke(ended)
    if not send_reset_mail.try_apply_async((user.email,), argsrepr="(an e-mail)"):
        raise service_unavailable(
            "The password was invalidated, but the e-mail could not be queued. Try again shortly."
        )
    if not settings_of(current_app).MAIL_SERVER:
        return {"message": NO_MAIL_SERVER}
    return {"message": "An e-mail with a link is on its way."}


def reject_own_account(user_id: int, message: str) -> None:
    """Raise 409 if an admin acts on the own account, whose own routes need more proof than an access token."""
    if user_id == current_caller().user_id:
        raise Problem(OWN_ACCOUNT, message)
