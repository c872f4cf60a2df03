"""The route that shows the statistics of all features."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify

from app.admin.schemas import Statistics
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_slot
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db, utc_now
from app.platform.database.statement_budget import statement_budget
from app.platform.redis.cache import Cache
from app.platform.security.access import admin_required
from app.platform.statistics import statistics_of
from app.platform.telemetry.objectives import LIST, objective

blueprint = Blueprint("statistics", __name__, description="Statistics, for admins.")

STATEMENT_SECONDS = 10.0
STATISTICS = Cache("admin.statistics", seconds=30)  # each feature counts whole tables


@blueprint.get("/admin/stats")
@rate_limit("RATELIMIT_ADMIN_STATS")
@objective(LIST)
@admin_required
@statement_budget(STATEMENT_SECONDS)
@blueprint.response(200, Statistics())
@blueprint.doc(operationId="admin_stats")  # a published id, which generated clients use
def stats() -> Response:
    """Return the statistics of each feature, at most 30 seconds old."""
    return jsonify(STATISTICS.get_or_compute(None, _dump_statistics))


def _dump_statistics() -> Any:
    with concurrency_slot("CONCURRENCY_QUERIES"):
        return Statistics().dump({"at": utc_now(), "features": statistics_of(current_app, db.session())})
