"""The route that lists the audit log, for admins."""

from __future__ import annotations

from typing import Any

from app.audit import service
from app.audit.schemas import AuditQuery, EntryPage
from app.platform.api.blueprints import Blueprint
from app.platform.api.pagination import page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security.access import admin_required
from app.platform.telemetry.objectives import LIST, objective

blueprint = Blueprint("audit", __name__, description="The audit log, for admins.")


@blueprint.get("/admin/audit-logs")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@admin_required
@blueprint.arguments(AuditQuery(), location="query")
@blueprint.response(200, EntryPage())
def entries(query: dict[str, Any]) -> dict[str, Any]:
    """List the entries of the audit log, newest first."""
    return page(service.entries(db.session(), **query), query["limit"], "created_at", "id")
