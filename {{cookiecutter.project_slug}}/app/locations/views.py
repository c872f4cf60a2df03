"""Routes of locations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Response, current_app, jsonify

from app.audit import service as audit
from app.locations import service, sharing
from app.locations.models import LocationSharing
from app.locations.problem_types import POSITION_QUOTA_REACHED
from app.locations.quota import PositionQuota
from app.locations.schemas import (
    Accepted,
    ActiveQuery,
    Batch,
    Location,
    LocationPage,
    Position,
    Sharing,
    SharingChange,
)
from app.locations.settings import LocationsSettings
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_slot
from app.platform.api.idempotency import idempotent
from app.platform.api.pagination import PageQuery, page
from app.platform.api.rate_limits import rate_limit
from app.platform.components import platform_of
from app.platform.database.base import autocommit_connection, db, undo_on_failure
from app.platform.redis.cache import Cache
from app.platform.security.access import account_deleted, current_caller, login_or_api_key, login_required
from app.platform.security.admin_rights import has_admin_rights
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.objectives import CREATE, LIST, READ, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises

NO_SUCH_POSITION = "The caller has no position with this id."

blueprint = Blueprint("locations", __name__, description="Current and past positions of users.")

# Every open map polls it, and the result is the same for all callers, except admins.
ACTIVE_USERS = Cache("locations.active", seconds=3)
PAGE = LocationPage()


@blueprint.post("/locations")
@rate_limit("RATELIMIT_LOCATIONS")
@objective(CREATE)
@login_or_api_key("locations:write")
@blueprint.arguments(Position())
@idempotent
@blueprint.response(201, Location())
@raises(POSITION_QUOTA_REACHED)
def save(position: dict[str, Any]) -> Mapping[str, Any]:
    """Save a position of the caller."""
    with _reserved_room(1), autocommit_connection() as connection:
        return service.save(connection, current_caller().user_id, position)


@blueprint.post("/locations/batch")
@rate_limit("RATELIMIT_LOCATIONS_BATCH")
@objective(CREATE)
@login_or_api_key("locations:write")
@blueprint.arguments(Batch())
@idempotent
@blueprint.response(201, Accepted())
@raises(POSITION_QUOTA_REACHED)
def save_batch(batch: dict[str, Any]) -> dict[str, int]:
    """Save up to 1000 positions of the caller, all or none."""
    with _reserved_room(len(batch["locations"])), autocommit_connection() as connection:
        return {"accepted": service.save_batch(connection, current_caller().user_id, batch["locations"])}


@blueprint.get("/locations")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@login_or_api_key("locations:read")
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, LocationPage())
def history(query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's positions, newest first."""
    rows = service.history(db.session(), current_caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "recorded_at", "id")


@blueprint.delete("/locations/<int:location_id>")
@rate_limit("RATELIMIT_DELETE")
@objective(UPDATE)
@login_or_api_key("locations:write")
@blueprint.response(204)
@blueprint.alt_response(404, description=NO_SUCH_POSITION)
def delete(location_id: int) -> None:
    """Delete a position of the caller."""
    user_id = current_caller().user_id
    with autocommit_connection() as connection:
        if not service.delete(connection, user_id, location_id):
            raise Problem(404, NO_SUCH_POSITION)
    platform_of(current_app).get_or_create(PositionQuota).give_back(user_id, 1)
    ACTIVE_USERS.invalidate()


@blueprint.get("/locations/active")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@login_or_api_key("locations:read")
@blueprint.arguments(ActiveQuery(), location="query")
@blueprint.response(200, LocationPage())
def active(query: dict[str, Any]) -> Response:
    """List the latest position of each user seen in the last minutes who shares it; cached for up to 3 seconds.

    Suspended users are not listed. Admins who are logged in see all users, suspended ones too; the audit log records
    each such request. No one sees a user whose processing is restricted.
    """
    caller = current_caller()
    if not has_admin_rights(caller):
        return jsonify(ACTIVE_USERS.get_or_compute(query, lambda: _dump_active(query)))
    everyone = {**query, "everyone": True}
    found = ACTIVE_USERS.get_or_compute(everyone, lambda: _dump_active(everyone))
    audit.record_read(db.session(), "active_users", query, actor_id=caller.user_id, origin=request_origin())
    return jsonify(found)


@blueprint.get("/locations/sharing")
@rate_limit("RATELIMIT_READ")
@objective(READ)
@login_required
@blueprint.response(200, Sharing())
def get_sharing() -> dict[str, Any]:
    """Get whether other users see the caller's latest position."""
    return _dump_sharing(sharing.find(db.session(), current_caller().user_id))


@blueprint.put("/locations/sharing")
@rate_limit("RATELIMIT_UPDATE")
@objective(UPDATE)
@login_required
@blueprint.arguments(SharingChange())
@blueprint.response(200, Sharing())
def change_sharing(wanted: dict[str, bool]) -> dict[str, Any]:
    """Let other users see the caller's latest position, or stop it. No one sees it by default."""
    user_id, shared = current_caller().user_id, wanted["shared"]
    try:
        row = sharing.change(db.session(), user_id, shared=shared, origin=request_origin())
    except sharing.NoSuchUser:
        raise account_deleted() from None
    ACTIVE_USERS.invalidate()
    return _dump_sharing(row)


def _dump_sharing(row: LocationSharing | None) -> dict[str, Any]:
    return {"shared": row is not None, "since": row and row.created_at}


@contextmanager
def _reserved_room(number: int) -> Iterator[None]:
    """Reject positions beyond what the caller may store; a request that fails, also at its commit, stores nothing."""
    user_id = current_caller().user_id
    maximum = settings_of(current_app, LocationsSettings).MAX_POSITIONS_PER_USER

    def count_left() -> int:
        with autocommit_connection() as connection:
            return maximum - service.count(connection, user_id, maximum)

    quota = platform_of(current_app).get_or_create(PositionQuota)
    left = quota.reserve(user_id, number, count_left)
    if left < number:
        raise Problem(POSITION_QUOTA_REACHED, f"You can store {left} more positions, of {maximum} in total.")
    with undo_on_failure(lambda: quota.give_back(user_id, number)):
        yield


def _dump_active(query: dict[str, Any]) -> Any:
    with concurrency_slot("CONCURRENCY_QUERIES"), autocommit_connection() as connection:
        rows = service.active(connection, **query)
    return PAGE.dump(page(rows, query["limit"], "recorded_at", "id"))
