"""Routes of API keys."""

from __future__ import annotations

from typing import Any

from flask import current_app

from app.api_keys import service
from app.api_keys.problem_types import TOO_MANY_API_KEYS
from app.api_keys.schemas import ApiKey, ApiKeyPage, CreatedApiKey, NewApiKey
from app.api_keys.settings import ApiKeysSettings
from app.platform.api.blueprints import Blueprint
from app.platform.api.idempotency import idempotent
from app.platform.api.pagination import PageQuery, page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.database.deferred_commit import after_commit
from app.platform.security.access import current_caller, login_required, recent_login_required, unauthorized
from app.platform.security.notices import notify
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.objectives import CREATE, LIST, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises

blueprint = Blueprint("api_keys", __name__, description="Keys for programs that call the API on behalf of a user.")


@blueprint.post("/api-keys")
@rate_limit("RATELIMIT_CREATE")
@objective(CREATE)
@recent_login_required
@login_required
@blueprint.arguments(NewApiKey())
@idempotent
@blueprint.response(201, CreatedApiKey())
@raises(TOO_MANY_API_KEYS)
def make(data: dict[str, Any]) -> dict[str, Any]:
    """Create a key.

    Send it in the header `X-API-Key` or as a bearer token. If a request has both, `X-API-Key` is used. It is revoked
    when you change or reset your password, or end all your sessions.
    """
    caller = current_caller()
    settings = settings_of(current_app, ApiKeysSettings)
    data = {"expires_in_days": min(settings.API_KEY_DAYS, settings.API_KEY_MAX_DAYS), **data}
    try:
        key, text = service.create(
            db.session(), caller.user_id, session_id=caller.session_id or 0, origin=request_origin(), **data
        )
    except service.SessionEnded:
        raise unauthorized("This session has ended. Sign in again.") from None
    except service.TooManyKeys:
        raise Problem(TOO_MANY_API_KEYS, f"You have {service.MAX_KEYS} keys already. Revoke one first.") from None
    created = {**{name: getattr(key, name) for name in ApiKey().fields}, "key": text}
    after_commit(db.session(), lambda: notify(caller.user_id, "An API key was created."))
    return created


@blueprint.get("/api-keys")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@login_required
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, ApiKeyPage())
def keys(query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's own keys, newest first, without revoked keys."""
    rows = service.keys(db.session(), current_caller().user_id, query["limit"], query.get("cursor"))
    return page(rows, query["limit"], "created_at", "id")


@blueprint.delete("/api-keys/<int:key_id>")
@rate_limit("RATELIMIT_DELETE")
@objective(UPDATE)
@login_required
@blueprint.response(204)
@blueprint.alt_response(404, description="No key of the caller has this id.")
def revoke(key_id: int) -> None:
    """Revoke a key; the API rejects it from now on."""
    user_id = current_caller().user_id
    if not service.revoke(db.session(), key_id, actor_id=user_id, owner_id=user_id, origin=request_origin()):
        raise Problem(404, "You have no key with this id.")
