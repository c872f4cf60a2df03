"""Routes of the caller's sessions, and of the proof of the password in a session."""

from __future__ import annotations

from typing import Any

from app.accounts import reauthentication, sign_ins, user_sessions
from app.accounts.models import UserSession
from app.accounts.problem_types import TOO_MANY_FAILED_SIGN_INS, WRONG_PASSWORD
from app.accounts.refresh_tokens import SessionEnded
from app.accounts.schemas import Tokens
from app.accounts.service import WrongPassword
from app.accounts.session_schemas import PasswordProof, SessionPage
from app.accounts.token_responses import token_pair
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_limit
from app.platform.api.pagination import PageQuery, page
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.security import sessions
from app.platform.security.access import (
    allow_unverified,
    current_caller,
    login_required,
    recent_login_required,
    unauthorized,
)
from app.platform.telemetry.objectives import LIST, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises

blueprint = Blueprint("sessions", __name__, description="The caller's sessions.")


@blueprint.get("/users/me/sessions")
@rate_limit("RATELIMIT_LIST")
@objective(LIST)
@login_required
@allow_unverified
@blueprint.arguments(PageQuery(), location="query")
@blueprint.response(200, SessionPage())
def own_sessions(query: dict[str, Any]) -> dict[str, Any]:
    """List the caller's active sessions, newest first."""
    rows = user_sessions.active_sessions(db.session(), current_caller().user_id, query["limit"], query.get("cursor"))
    found = page(rows, query["limit"], "created_at", "id")
    return {**found, "items": [_described(row) for row in found["items"]]}


@blueprint.delete("/users/me/sessions/<int:session_id>")
@rate_limit("RATELIMIT_DELETE")
@objective(UPDATE)
@recent_login_required
@login_required
@allow_unverified
@blueprint.response(204)
@blueprint.alt_response(404, description="No active session of the caller has this id.")
def end_session(session_id: int) -> None:
    """End one of the caller's sessions; every replica rejects its tokens at once."""
    if not user_sessions.end_session(db.session(), current_caller().user_id, session_id, request_origin()):
        raise Problem(404, "You have no active session with this id.")
    sessions.revoke([session_id])


@blueprint.post("/auth/reauthenticate")
@rate_limit("RATELIMIT_LOGIN")
@concurrency_limit("CONCURRENCY_HASHING")
@objective(UPDATE)
@login_required
@allow_unverified
@blueprint.arguments(PasswordProof())
@blueprint.response(200, Tokens())
@raises(WRONG_PASSWORD, TOO_MANY_FAILED_SIGN_INS)
def reauthenticate(data: dict[str, str]) -> dict[str, Any]:
    """Prove the password again, which sensitive actions need; returns new tokens of the same session.

    Use the new refresh token: the earlier one counts as used. After several failures, further attempts must wait longer
    and longer.
    """
    caller = current_caller()
    with sign_ins.start_password_change(caller.user_id) as attempt:
        try:
            user, user_session = reauthentication.reauthenticate(
                db.session(),
                user_id=caller.user_id,
                session_id=caller.session_id or 0,
                password=data["password"],
                origin=request_origin(),
            )
        except WrongPassword:
            sign_ins.record_failed_reauthentication(caller.user_id)
            raise Problem(WRONG_PASSWORD, "The password is wrong.", errors={"password": ["Is wrong."]}) from None
        except SessionEnded:
            raise unauthorized("This session has ended. Sign in again.") from None
        attempt.succeeded()
    return token_pair(user, user_session)


def _described(row: UserSession) -> dict[str, Any]:
    return {
        "id": row.id,
        "created_at": row.created_at,
        "refreshed_at": row.refreshed_at,
        "authenticated_at": row.last_authenticated_at,
        "expires_at": row.expires_at,
        "address": row.address,
        "user_agent": row.user_agent,
        "current": row.id == current_caller().session_id,
    }
