"""Routes of the caller's sessions."""

from __future__ import annotations

from typing import Any

from app.accounts import user_sessions
from app.accounts.models import UserSession
from app.accounts.session_schemas import SessionPage
from app.platform.api.blueprints import Blueprint
from app.platform.api.pagination import PageQuery, page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security import sessions
from app.platform.security.access import current_caller, login_required
from app.platform.telemetry.objectives import LIST, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem

blueprint = Blueprint("sessions", __name__, description="The caller's sessions.")


@blueprint.get("/users/me/sessions")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@login_required
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, SessionPage())
def own_sessions(query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's active sessions, newest first."""
    rows = user_sessions.active_sessions(db.session(), current_caller().user_id, query["limit"], query.get("cursor"))
    found = page(rows, query["limit"], "created_at", "id")
    return {**found, "items": [_described(row) for row in found["items"]]}


@blueprint.delete("/users/me/sessions/<int:session_id>")
@rate_limit("RATELIMIT_DELETE")
@objective(UPDATE)
@login_required
@blueprint.response(204)
@blueprint.alt_response(404, description="No active session of the caller has this id.")
def end_session(session_id: int) -> None:
    """End one of the caller's sessions; every replica rejects its tokens at once."""
    if not user_sessions.end_session(db.session(), current_caller().user_id, session_id, request_origin()):
        raise Problem(404, "You have no active session with this id.")
    sessions.revoke([session_id])


def _described(row: UserSession) -> dict[str, Any]:
    return {
        "id": row.id,
        "created_at": row.created_at,
        "refreshed_at": row.refreshed_at,
        "authenticated_at": row.last_authenticated_at,
        "expires_at": row.expires_at,
        "address": row.address,
        "user_agent": row.user_agent,
        "current": row.id == current_caller().session_id,
    }
