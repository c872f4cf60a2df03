"""Routes of accounts."""

from __future__ import annotations

from typing import Any

from flask import g, request

from app.accounts import service
from app.accounts.models import User
from app.accounts.schemas import AccessToken, Credentials, Profile, Registration
from app.accounts.tasks import note_login
from app.api import Blueprint
from app.audit.service import Origin
from app.database import db, now
from app.errors import Problem
from app.limits import limit
from app.security import tokens
from app.security.access import caller, public, signed_in

blueprint = Blueprint("accounts", __name__, description="Accounts and signing in.")


def _origin() -> Origin:
    return Origin(request.remote_addr, g.request_id)


@blueprint.post("/auth/register")
@limit("RATELIMIT_REGISTER")
@public("nobody has an account yet")
@blueprint.arguments(Registration())
@blueprint.response(201, Profile())
@blueprint.alt_response(409, description="There is an account with this e-mail.")
def register(registration: dict[str, Any]) -> User:
    """Make an account."""
    try:
        return service.register(db.session(), **registration, origin=_origin())
    except service.EmailTaken:
        raise Problem(409, "There is an account with this e-mail.", errors={"email": ["Already taken."]}) from None


@blueprint.post("/auth/login")
@limit("RATELIMIT_LOGIN")
@public("nobody is signed in yet")
@blueprint.arguments(Credentials())
@blueprint.response(200, AccessToken())
def login(credentials: dict[str, Any]) -> dict[str, Any]:
    """Sign in with e-mail and password."""
    user = service.authenticate(db.session(), **credentials, origin=_origin())
    if user is None:
        raise Problem(401, "E-mail or password is wrong.", headers={"WWW-Authenticate": "Bearer"})
    token, seconds = tokens.issue(tokens.Caller(user.id, user.role))
    note_login.send_if_possible(user.id, now().isoformat())
    return {"access_token": token, "token_type": "Bearer", "expires_in": seconds}


@blueprint.get("/users/me")
@limit("RATELIMIT_READ")
@signed_in
@blueprint.response(200, Profile())
def me() -> User:
    """One's own profile."""
    user = service.get(db.session(), caller().user_id)
    if user is None:
        raise Problem(401, "This account is gone. Sign in with another.", headers={"WWW-Authenticate": "Bearer"})
    return user
