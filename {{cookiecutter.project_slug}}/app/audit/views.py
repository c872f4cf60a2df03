"""The route that lists the audit log, for admins."""

from __future__ import annotations

from typing import Any

from app.audit import service
from app.audit.schemas import AuditQuery, EntryPage
from app.platform.api.blueprints import Blueprint
from app.platform.api.pagination import page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security.access import admin_required, current_caller
from app.platform.telemetry.objectives import LIST, objective
from app.platform.web.client_address import request_origin

blueprint = Blueprint("audit", __name__, description="The audit log, for admins.")


@blueprint.get("/admin/audit-logs")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@admin_required
@blueprint.arguments(AuditQuery(), location="query")
@blueprint.response(200, EntryPage())
def entries(query: dict[str, Any]) -> dict[str, Any]:
    """List the entries of the audit log, newest first; the log records that, too."""
    session, actor_id = db.session(), current_caller().user_id
    found = page(service.entries(session, **query), query["limit"], "created_at", "id")
    service.record_read(session, "audit_logs", query, actor_id=actor_id, origin=request_origin())
    return found
