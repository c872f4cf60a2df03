"""Routes for admins: users, roles, figures."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify
from kombu.exceptions import OperationalError
from redis import RedisError

from app.accounts import administration
from app.accounts.models import User
from app.accounts.schemas import Sent
from app.accounts.tasks import send_reset_mail
from app.admin import schemas
from app.api import Blueprint
from app.audit.origin import origin
from app.cache import Cache
from app.database import db, now
from app.errors import Problem, unavailable
from app.limits import limit
from app.observability.slo.objectives import CHANGE, LIST, objective
from app.pagination import page
from app.security import sessions
from app.security.access import admins_only, caller
from app.statistics import statistics_of

blueprint = Blueprint("admin", __name__, description="For admins: users, roles, figures.")

NO_SUCH_USER = "There is no such user."

STATISTICS = Cache("admin.statistics", seconds=30)  # each of them counts whole tables


@blueprint.get("/admin/users")
@limit("RATELIMIT_ADMIN_USERS")
@objective(LIST)
@admins_only
@blueprint.arguments(schemas.UserQuery(), location="query")
@blueprint.response(200, schemas.UserPage())
def users(query: dict[str, Any]) -> dict[str, Any]:
    """Every user, newest first."""
    return page(administration.users(db.session(), **query), query["limit"], "created_at", "id")


@blueprint.put("/admin/users/<int:user_id>/role")
@limit("RATELIMIT_ADMIN_ROLE")
@objective(CHANGE)
@admins_only
@blueprint.arguments(schemas.Role())
@blueprint.response(200, schemas.User())
@blueprint.alt_response(404, description=NO_SUCH_USER)
@blueprint.alt_response(409, description="There would be no admin left.")
def change_role(given: dict[str, str], user_id: int) -> User:
    """Make somebody an admin, or an admin a user; their sessions end."""
    try:
        user, ended = administration.change_role(
            db.session(), user_id, given["role"], origin=origin(), actor_id=caller().user_id
        )
    except administration.NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    except administration.LastAdmin:
        raise Problem(409, "This is the last admin. Make somebody else an admin first.") from None
    sessions.end(ended)
    return user


@blueprint.post("/admin/users/<int:user_id>/reset-password")
@limit("RATELIMIT_ADMIN_RESET_PASSWORD")
@objective(CHANGE)
@admins_only
@blueprint.arguments(schemas.Nothing(), required=False)
@blueprint.response(202, Sent())
@blueprint.alt_response(404, description=NO_SUCH_USER)
def reset_password(given: dict[str, Any], user_id: int) -> dict[str, str]:
    """Make a user's password useless, end their sessions, and mail them a link to set a new one."""
    del given
    try:
        user, ended = administration.force_reset(db.session(), user_id, origin=origin(), actor_id=caller().user_id)
    except administration.NoSuchUser:
        raise Problem(404, NO_SUCH_USER) from None
    sessions.end(ended)
    try:
        send_reset_mail.apply_async((user.email,), argsrepr="(an e-mail)")
    except (OperationalError, RedisError):
        raise unavailable("The password is useless now, but the mail was not sent. Try again shortly.") from None
    return {"message": "A mail with a link is on its way."}


@blueprint.get("/admin/stats")
@limit("RATELIMIT_ADMIN_STATS")
@objective(LIST)
@admins_only
@blueprint.response(200, schemas.Statistics())
def stats() -> Response:
    """Figures of each feature, counted at most 30 seconds ago."""
    return jsonify(STATISTICS.get_or_make(None, _count))


def _count() -> Any:
    return schemas.Statistics().dump({"at": now(), "features": statistics_of(current_app, db.session())})
