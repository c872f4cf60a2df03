"""Routes of API keys."""

from __future__ import annotations

from typing import Any

from app.api import Blueprint
from app.api_keys import service
from app.api_keys.schemas import ApiKey, ApiKeyPage, MadeApiKey, NewApiKey
from app.audit.origin import origin
from app.database import db
from app.errors import Problem
from app.limits import limit
from app.observability.slo.objectives import CHANGE, CREATE, LIST, objective
from app.pagination import PageQuery, page
from app.security.access import caller, signed_in

blueprint = Blueprint("api_keys", __name__, description="Keys with which programs call the API for a user.")


@blueprint.post("/api-keys")
@limit("RATELIMIT_CREATE")
@objective(CREATE)
@signed_in
@blueprint.arguments(NewApiKey())
@blueprint.response(201, MadeApiKey())
@blueprint.alt_response(409, description=f"There are {service.MOST_KEYS} good keys already.")
def make(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make a key. Send it as `X-API-Key`, which counts where `Authorization` is sent too, or as bearer token."""
    try:
        key, text = service.make(db.session(), caller().user_id, **wanted, origin=origin())
    except service.TooManyKeys:
        raise Problem(409, f"You have {service.MOST_KEYS} keys already. Revoke one first.") from None
    return {**{name: getattr(key, name) for name in ApiKey().fields}, "key": text}


@blueprint.get("/api-keys")
@limit("RATELIMIT_LIST")
@objective(LIST)
@signed_in
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, ApiKeyPage())
def keys(query: dict[str, Any]) -> dict[str, Any]:
    """One's own keys, newest first, without those that were revoked."""
    rows = service.keys(db.session(), caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "created_at", "id")


@blueprint.delete("/api-keys/<int:key_id>")
@limit("RATELIMIT_DELETE")
@objective(CHANGE)
@signed_in
@blueprint.response(204)
@blueprint.alt_response(404, description="There is no such key of yours.")
def revoke(key_id: int) -> None:
    """Revoke a key: it opens nothing from now on."""
    if not service.revoke(db.session(), caller().user_id, key_id, origin()):
        raise Problem(404, "There is no such key.")
