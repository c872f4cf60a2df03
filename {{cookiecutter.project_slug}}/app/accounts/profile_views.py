"""Routes of one's own profile."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Row

from app.accounts import service
from app.accounts.models import User
from app.accounts.schemas import Profile, ProfileChange
from app.api import Blueprint
from app.database import db, one_statement
from app.limits import limit
from app.observability.slo.objectives import CHANGE, READ, objective
from app.security.access import caller, signed_in, signed_in_or_key, unauthorized

Account = TypeVar("Account")

blueprint = Blueprint("users", __name__, description="One's own profile.")


@blueprint.get("/users/me")
@limit("RATELIMIT_READ")
@objective(READ)
@signed_in_or_key("profile:read")
@blueprint.response(200, Profile())
def me() -> Row[*tuple[Any, ...]]:
    """One's own profile."""
    with one_statement() as connection:
        return _there(service.profile(connection, caller().user_id))


@blueprint.patch("/users/me")
@limit("RATELIMIT_UPDATE")
@objective(CHANGE)
@signed_in
@blueprint.arguments(ProfileChange())
@blueprint.response(200, Profile())
def change_me(changes: dict[str, Any]) -> User:
    """Change one's profile; what is left out stays."""
    session = db.session()
    return service.change_profile(session, _there(service.get(session, caller().user_id)), changes)


def _there(account: Account | None) -> Account:
    if account is None:
        raise unauthorized("This account is gone. Sign in with another.")
    return account
