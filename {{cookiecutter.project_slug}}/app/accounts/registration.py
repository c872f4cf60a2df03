"""Registration where the service sends e-mails: the response does not show whether the address has an account."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, jsonify

from app.accounts import verification
from app.accounts.email_tasks import send_registration_mail
from app.platform.database.base import db
from app.platform.security import sessions
from app.platform.web.client_address import request_origin
from app.platform.web.problems import service_unavailable

MESSAGE = "An e-mail is on its way to this address. Open the link in it to confirm the address."
NOT_QUEUED = "E-mails cannot be queued right now. Try again shortly."


def register_unverified(registration: dict[str, Any]) -> Response:
    """Register an address that is not verified; the response is the same if it has an account."""
    sessions.revoke(verification.register(db.session(), **registration, origin=request_origin()))
    if not send_registration_mail.try_apply_async((registration["email"],), argsrepr="(an e-mail)"):
        raise service_unavailable(NOT_QUEUED)
    response = jsonify(message=MESSAGE)
    response.status_code = HTTPStatus.ACCEPTED
    return response
