"""Routes of one's own profile."""

from __future__ import annotations

from typing import Any

from app.accounts import service
from app.accounts.models import User
from app.accounts.schemas import Profile, ProfileChange
from app.api import Blueprint
from app.database import db
from app.limits import limit
from app.observability.slo.objectives import CHANGE, READ, objective
from app.security.access import caller, signed_in, signed_in_or_key, unauthorized

blueprint = Blueprint("users", __name__, description="One's own profile.")


@blueprint.get("/users/me")
@limit("RATELIMIT_READ")
@objective(READ)
@signed_in_or_key("profile:read")
@blueprint.response(200, Profile())
def me() -> User:
    """One's own profile."""
    return _myself()


@blueprint.patch("/users/me")
@limit("RATELIMIT_UPDATE")
@objective(CHANGE)
@signed_in
@blueprint.arguments(ProfileChange())
@blueprint.response(200, Profile())
def change_me(changes: dict[str, Any]) -> User:
    """Change one's profile; what is left out stays."""
    return service.change_profile(db.session(), _myself(), changes)


def _myself() -> User:
    user = service.get(db.session(), caller().user_id)
    if user is None:
        raise unauthorized("This account is gone. Sign in with another.")
    return user
