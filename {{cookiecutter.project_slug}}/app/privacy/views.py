"""Routes of privacy."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import chain
from typing import Any

from flask import Response, current_app, jsonify, stream_with_context
from sqlalchemy.exc import SQLAlchemyError

from app.accounts import service as accounts
from app.platform.api.blueprints import Blueprint
from app.platform.api.concurrency import concurrency_limit
from app.platform.api.rate_limits import rate_limit
from app.platform.database.base import db
from app.platform.personal_data import personal_data_of
from app.platform.redis.cache import invalidate_user_caches
from app.platform.security import sessions
from app.platform.security.access import (
    account_deleted,
    allow_unverified,
    current_caller,
    login_required,
    recent_login_required,
)
from app.platform.storage import StorageUnavailable
from app.platform.telemetry.objectives import LIST, UPDATE, objective
from app.platform.web.client_address import request_origin
from app.platform.web.problems import Problem, raises
from app.privacy import export, service, tasks
from app.privacy.models import Erasure
from app.privacy.problem_types import EXPORT_TOO_LARGE
from app.privacy.reapply import tombstones_of
from app.privacy.schemas import EXPORT_HEADER, ErasureBegun, Export, ExportHeaders

logger = logging.getLogger(__name__)

ERASE_SECONDS = 5.0  # that a request deletes data; a task deletes the rest

blueprint = Blueprint("privacy", __name__, description="Export and erasure of the caller's data.")

ENCRYPTED = {"type": "string", "description": "A JWE (RFC 7516, PBES2-HS512+A256KW and A256GCM).", "example": "eyJ0eX…"}


@blueprint.get("/users/me/data-export")
@rate_limit("RATELIMIT_READ")
@concurrency_limit("CONCURRENCY_EXPORTS")
@objective(LIST)
@recent_login_required
@login_required
@allow_unverified
@blueprint.arguments(ExportHeaders(), location="headers")
@blueprint.response(200, Export())
@blueprint.alt_response(
    200, schema=ENCRYPTED, content_type="application/jose", description="The export; encrypted as application/jose."
)
@raises(EXPORT_TOO_LARGE)
def data_export(headers: dict[str, Any]) -> Response:
    """Export all data that the service holds about the caller, as a file; a passphrase encrypts it."""
    session, user_id = db.session(), current_caller().user_id
    if accounts.get(session, user_id) is None:
        raise account_deleted()
    passphrase = headers.get("passphrase")
    service.record_export(session, user_id, encrypted=passphrase is not None, origin=request_origin())
    chunks = export.export(session, user_id, personal_data_of(current_app))
    if passphrase is None:
        return _attachment(_prefetch_first(chunks), "data-export.json", "application/json")
    try:
        return _attachment([export.encrypt(chunks, passphrase).encode()], "data-export.jwe", "application/jose")
    except export.TooLarge:
        message = f"At most {export.MAX_ENCRYPTED_BYTES} bytes can be encrypted: send the request without a passphrase."
        raise Problem(
            EXPORT_TOO_LARGE, "The export is too large to encrypt.", errors={EXPORT_HEADER: [message]}
        ) from None


@blueprint.delete("/users/me")
@rate_limit("RATELIMIT_DELETE")
@objective(UPDATE)
@recent_login_required
@login_required
@allow_unverified
@blueprint.response(204)
@blueprint.alt_response(202, schema=ErasureBegun(), description="The account is closed, and its data is being deleted.")
@raises(accounts.LAST_ADMIN)
def erase() -> Response | None:
    """Erase the caller: the account and all its data. A task goes on if it takes longer than a request may."""
    session, user_id = db.session(), current_caller().user_id
    try:
        erasure = service.begin_erasure(session, user_id, origin=request_origin())
    except accounts.NoSuchUser:
        raise account_deleted() from None
    except accounts.LastAdmin:
        raise Problem(accounts.LAST_ADMIN, "You are the only admin: make another user an admin first.") from None
    sessions.revoke(erasure.session_ids)
    invalidate_user_caches()
    _store_tombstone(erasure)
    if _delete_data(user_id):
        return None
    tasks.reapply.try_delay()
    response = jsonify(message="Your account is closed. Its data is being deleted.")
    response.status_code = HTTPStatus.ACCEPTED
    return response


def _delete_data(user_id: int) -> bool:
    """Delete the data of a user; return False if it takes too long or fails: a task then goes on."""
    session, sources = db.session(), personal_data_of(current_app).values()
    try:
        return service.finish_erasure(session, user_id, sources, deadline=time.monotonic() + ERASE_SECONDS)
    except SQLAlchemyError as error:
        session.rollback()
        logger.warning("the data of user %s was not deleted completely; a task continues: %s", user_id, error)
        return False


def _prefetch_first(chunks: Iterator[bytes]) -> Iterable[bytes]:
    """Read the first chunk before the response starts: most failures then become an error response."""
    first = next(chunks)
    return stream_with_context(chain([first], chunks))


def _attachment(content: Iterable[bytes], name: str, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _store_tombstone(erasure: Erasure) -> None:
    try:
        tombstones_of(current_app).write(db.session(), erasure)
    except (StorageUnavailable, SQLAlchemyError):
        db.session().rollback()
        logger.warning("the tombstone of user %s was not written to the storage; a task retries", erasure.user_id)
