"""Routes of the API keys of all users, for admins."""

from __future__ import annotations

from typing import Any

from app.api_keys import service
from app.api_keys.schemas import AdminApiKeyPage, AdminApiKeyQuery
from app.audit import service as audit
from app.platform.api.blueprints import Blueprint
from app.platform.api.pagination import page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security.access import admin_required, current_caller
from app.platform.telemetry.objectives import LIST, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem

blueprint = Blueprint("admin_api_keys", __name__, description="The API keys of all users, for admins.")


@blueprint.get("/admin/api-keys")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@admin_required
@blueprint.arguments(AdminApiKeyQuery(), location="query")
@blueprint.response(200, AdminApiKeyPage())
def keys(query: dict[str, Any]) -> dict[str, Any]:
    """List the API keys of all users, newest first, including revoked keys."""
    session, actor_id = db.session(), current_caller().user_id
    found = page(service.all_keys(session, **query), query["limit"], "created_at", "id")
    audit.record_read(session, "api_keys", query, actor_id=actor_id, origin=request_origin())
    return found


@blueprint.delete("/admin/api-keys/<int:key_id>")
@rate_limit("RATELIMIT_DELETE")
@objective(UPDATE)
@admin_required
@blueprint.response(204)
@blueprint.alt_response(404, description="No key that is not yet revoked has this id.")
def revoke(key_id: int) -> None:
    """Revoke an API key of any user; the API rejects it from now on."""
    if not service.revoke(db.session(), key_id, actor_id=current_caller().user_id, origin=request_origin()):
        raise Problem(404, "No key has this id, or it has been revoked already.")
