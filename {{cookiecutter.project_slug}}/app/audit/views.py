"""The audit log, for admins to read."""

from __future__ import annotations

from typing import Any

from app.api import Blueprint
from app.audit import service
from app.audit.schemas import AuditQuery, EntryPage
from app.database import db
from app.limits import limit
from app.observability.slo.objectives import LIST, objective
from app.pagination import page
from app.security.access import admins_only

blueprint = Blueprint("audit", __name__, description="Who did what to what.")


@blueprint.get("/admin/audit-logs")
@limit("RATELIMIT_LIST")
@objective(LIST)
@admins_only
@blueprint.arguments(AuditQuery(), location="query")
@blueprint.response(200, EntryPage())
def entries(query: dict[str, Any]) -> dict[str, Any]:
    """What was done, newest first."""
    return page(service.entries(db.session(), **query), query["limit"], "created_at", "id")
