"""Routes of locations."""

from __future__ import annotations

from typing import Any

from app.api import Blueprint
from app.database import db
from app.limits import limit
from app.locations import service
from app.locations.models import UserLocation
from app.locations.schemas import Accepted, ActiveQuery, Batch, Location, LocationPage, Position
from app.pagination import PageQuery, page
from app.security.access import caller, signed_in

blueprint = Blueprint("locations", __name__, description="Where users are and were.")


@blueprint.post("/locations")
@limit("RATELIMIT_LOCATIONS")
@signed_in
@blueprint.arguments(Position())
@blueprint.response(201, Location())
def save(position: dict[str, Any]) -> UserLocation:
    """Save where the caller is."""
    return service.save(db.session(), caller().user_id, position)


@blueprint.post("/locations/batch")
@limit("RATELIMIT_LOCATIONS_BATCH")
@signed_in
@blueprint.arguments(Batch())
@blueprint.response(201, Accepted())
def save_batch(batch: dict[str, Any]) -> dict[str, int]:
    """Save where the caller was, up to 1000 positions, all or none."""
    return {"accepted": service.save_batch(db.session(), caller().user_id, batch["locations"])}


@blueprint.get("/locations")
@limit("RATELIMIT_LIST")
@signed_in
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, LocationPage())
def history(query: dict[str, Any]) -> dict[str, Any]:
    """The caller's own positions, newest first."""
    rows = service.history(db.session(), caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "recorded_at", "id")


@blueprint.get("/locations/active")
@limit("RATELIMIT_LIST")
@signed_in
@blueprint.arguments(ActiveQuery(), location="query")
@blueprint.response(200, LocationPage())
def active(query: dict[str, Any]) -> dict[str, Any]:
    """The latest position of each user seen in the last minutes."""
    rows = service.active(db.session(), query["minutes"], query.get("bbox"), query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "recorded_at", "id")
