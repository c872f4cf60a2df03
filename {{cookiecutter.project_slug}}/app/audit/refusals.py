"""Records calls of admin routes by users who are no admins."""

from __future__ import annotations

from flask import Flask, current_app

from app.audit import service
from app.platform.api.rate_limits import limiter_of
from app.platform.database.base import db
from app.platform.security.admin_rights import register_admin_refusal
from app.platform.web.caller import Caller
from app.platform.web.client_address import request_origin
from app.platform.web.request_state import current_request

AUDIT_KEY = "refused-admin-routes"  # one count for the whole service


def init_app(app: Flask) -> None:
    """Record refusals."""
    register_admin_refusal(app, record_refusal)


def record_refusal(caller: Caller) -> None:
    """Add the refusal to the audit log; a limit bounds the growth of the log."""
    if limiter_of(current_app).count("RATELIMIT_REFUSED_ADMIN_AUDIT", AUDIT_KEY):
        request, session = current_request(), db.session()
        route, target = f"{request.method} {request.url_rule}", ("user", caller.user_id)
        origin = request_origin()
        service.record(session, "admin.refused", actor_id=caller.user_id, target=target, origin=origin, route=route)
        session.commit()
