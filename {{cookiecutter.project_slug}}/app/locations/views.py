"""Routes of locations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from app.api import Blueprint
from app.cache import Cache
from app.database import db, one_statement
from app.limits import limit
from app.locations import service
from app.locations.schemas import Accepted, ActiveQuery, Batch, Location, LocationPage, Position
from app.observability.slo.objectives import CREATE, LIST, objective
from app.pagination import PageQuery, page
from app.security.access import caller, signed_in_or_key

blueprint = Blueprint("locations", __name__, description="Where users are and were.")

# The same for everybody who may ask, and asked again and again by every map that is open.
ACTIVE = Cache("locations.active", seconds=3)
PAGE = LocationPage()


@blueprint.post("/locations")
@limit("RATELIMIT_LOCATIONS")
@objective(CREATE)
@signed_in_or_key("locations:write")
@blueprint.arguments(Position())
@blueprint.response(201, Location())
def save(position: dict[str, Any]) -> Mapping[str, Any]:
    """Save where the caller is."""
    with one_statement() as connection:
        return service.save(connection, caller().user_id, position)


@blueprint.post("/locations/batch")
@limit("RATELIMIT_LOCATIONS_BATCH")
@objective(CREATE)
@signed_in_or_key("locations:write")
@blueprint.arguments(Batch())
@blueprint.response(201, Accepted())
def save_batch(batch: dict[str, Any]) -> dict[str, int]:
    """Save where the caller was, up to 1000 positions, all or none."""
    with one_statement() as connection:
        return {"accepted": service.save_batch(connection, caller().user_id, batch["locations"])}


@blueprint.get("/locations")
@limit("RATELIMIT_LIST")
@objective(LIST)
@signed_in_or_key("locations:read")
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, LocationPage())
def history(query: dict[str, Any]) -> dict[str, Any]:
    """The caller's own positions, newest first."""
    rows = service.history(db.session(), caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "recorded_at", "id")


@blueprint.get("/locations/active")
@limit("RATELIMIT_LIST")
@objective(LIST)
@signed_in_or_key("locations:read")
@blueprint.arguments(ActiveQuery(), location="query")
@blueprint.response(200, LocationPage())
def active(query: dict[str, Any]) -> Response:
    """The latest position of each user seen in the last minutes, as it was at most 3 seconds ago."""
    return jsonify(ACTIVE.get_or_make(query, lambda: _active(query)))


def _active(query: dict[str, Any]) -> Any:
    with one_statement() as connection:
        rows = service.active(connection, query["minutes"], query.get("bbox"), query["limit"], query.get("cursor"))
    return PAGE.dump(page(rows, query["limit"], "recorded_at", "id"))
