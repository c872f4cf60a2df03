"""Routes that suspend users, for admins."""

from __future__ import annotations

from typing import Any

from app.accounts import suspension
from app.accounts.admin_views import NO_SUCH_USER
from app.accounts.models import User
from app.accounts.problem_types import LAST_ADMIN, OWN_ACCOUNT
from app.accounts.schemas import EmptyBody, UserRecord
from app.accounts.service import LastAdmin, NoSuchUser
from app.platform.api.blueprints import Blueprint
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.redis.cache import invalidate_user_caches
from app.platform.security import sessions
from app.platform.security.access import admin_required, current_caller
from app.platform.telemetry.objectives import UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises

blueprint = Blueprint("suspensions", __name__, description="Suspension of users, for admins.")


@blueprint.post("/admin/users/<int:user_id>/suspend")
@rate_limit("RATELIMIT_ADMIN_ROLE")
@objective(UPDATE)
@admin_required
@blueprint.arguments(EmptyBody(), required=False)
@blueprint.response(200, UserRecord())
@blueprint.alt_response(404, description=NO_SUCH_USER)
@raises(OWN_ACCOUNT, LAST_ADMIN)
def suspend(_data: dict[str, Any], user_id: int) -> User:
    """Suspend a user: all sessions end, API keys are revoked, and the user cannot sign in."""
    try:
        user, ended = suspension.suspend(
            db.session(), user_id, origin=request_origin(), actor_id=current_caller().user_id
        )
    except NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    except suspension.OwnAccount:
        raise Problem(OWN_ACCOUNT, "You cannot suspend yourself. Ask another admin.") from None
    except LastAdmin:
        raise Problem(LAST_ADMIN, "This is the last admin. Give another user the role admin first.") from None
    sessions.revoke(ended)
    invalidate_user_caches()
    return user


@blueprint.post("/admin/users/<int:user_id>/unsuspend")
@rate_limit("RATELIMIT_ADMIN_ROLE")
@objective(UPDATE)
@admin_required
@blueprint.arguments(EmptyBody(), required=False)
@blueprint.response(200, UserRecord())
@blueprint.alt_response(404, description=NO_SUCH_USER)
def unsuspend(_data: dict[str, Any], user_id: int) -> User:
    """Let a suspended user sign in again; earlier sessions and API keys stay invalid."""
    try:
        user = suspension.unsuspend(db.session(), user_id, origin=request_origin(), actor_id=current_caller().user_id)
    except NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    invalidate_user_caches()
    return user
