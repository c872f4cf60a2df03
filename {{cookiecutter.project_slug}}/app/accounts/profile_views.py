"""Routes of the user's own profile."""

from __future__ import annotations

from typing import Any, TypeVar

from app.accounts import service
from app.accounts.models import User
from app.accounts.schemas import Profile, ProfileChange
from app.platform.api.blueprints import Blueprint
from app.platform.api.conditional import checks_if_match, etagged, require_match
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import autocommit_connection, db
from app.platform.redis.cache import invalidate_user_caches
from app.platform.security.access import (
    account_deleted,
    allow_unverified,
    current_caller,
    login_or_api_key,
    login_required,
)
from app.platform.telemetry.objectives import READ, UPDATE, objective
from app.platform.web.client_address import request_origin

Account = TypeVar("Account")

PROFILE = Profile()

blueprint = Blueprint("users", __name__, description="The caller's own profile.")


@blueprint.get("/users/me")
@rate_limit("RATELIMIT_READ")
@objective(READ)
@login_or_api_key("profile:read")
@allow_unverified
@etagged
@blueprint.response(200, PROFILE)
def me() -> dict[str, Any]:
    """Get the caller's own profile."""
    with autocommit_connection() as connection:
        return _or_401(service.profile(connection, current_caller().user_id))


@blueprint.patch("/users/me")
@rate_limit("RATELIMIT_UPDATE")
@objective(UPDATE)
@login_required
@blueprint.arguments(ProfileChange())
@etagged
@blueprint.response(200, PROFILE)
@checks_if_match
def change_me(changes: dict[str, Any]) -> User:
    """Change the caller's own profile; omitted fields keep their values."""
    session = db.session()
    user = _or_401(service.lock_and_get(session, current_caller().user_id))
    require_match(PROFILE, user)
    user = service.change_profile(session, user, changes, request_origin())
    if "processing_restricted" in changes:
        invalidate_user_caches()
    return user


def _or_401(account: Account | None) -> Account:
    if account is None:
        raise account_deleted()
    return account
