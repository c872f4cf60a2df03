"""Requests that lost a deadlock, or a race that the database cannot serialize, are repeated once.

The database has rolled the transaction back, and the other one goes on: a second attempt usually succeeds.
"""

from __future__ import annotations

import logging

from flask import Flask, Response, current_app
from sqlalchemy import exc

from app.platform.database import errors
from app.platform.database.deferred_commit import DeferrableSession, has_committed
from app.platform.web.request_state import current_request, request_state

logger = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Repeat the view of a request once if the database rolled its transaction back for the sake of another one."""
    app.register_error_handler(exc.OperationalError, _repeat)


def _repeat(error: exc.OperationalError) -> Response:
    if not errors.is_conflict(error) or not _can_repeat():
        return errors.error_response(error)
    logger.warning("the request is repeated, because the database rolled it back: %s", error.orig)
    request_state().repeated = True
    _session().rollback()
    try:
        return current_app.make_response(current_app.dispatch_request())
    except Exception as second:  # noqa: BLE001 - as Flask handles the errors of the first attempt
        return current_app.make_response(current_app.handle_user_exception(second))


def _can_repeat() -> bool:
    """Whether the view has neither committed anything nor read a stream, which cannot be read again."""
    is_form = current_request().mimetype == "multipart/form-data"
    return not (request_state().repeated or is_form or has_committed(_session()))


def _session() -> DeferrableSession:
    """Return the session of the request; not through `base`, which imports this module."""
    session: DeferrableSession = current_app.extensions["sqlalchemy"].session()
    return session
