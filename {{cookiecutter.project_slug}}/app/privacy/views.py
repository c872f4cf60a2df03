"""Routes of privacy."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from flask import Response, current_app, stream_with_context

from app.accounts import service as accounts
from app.accounts.administration import LastAdmin, NoSuchUser
from app.api import Blueprint
from app.audit.origin import origin
from app.database import db
from app.errors import Problem
from app.limits import limit
from app.observability.slo.objectives import CHANGE, LIST, objective
from app.personal_data import holdings_of
from app.privacy import export, service, tombstones
from app.privacy.models import Erasure
from app.privacy.schemas import HEADER, Export, ExportHeaders
from app.security import sessions
from app.security.access import caller, signed_in, unauthorized
from app.storage import StorageUnavailable, storage_of

logger = logging.getLogger(__name__)

blueprint = Blueprint("privacy", __name__, description="What the service holds about the caller, and forgetting it.")

SEALED = {"type": "string", "description": "A JWE (RFC 7516, PBES2-HS512+A256KW and A256GCM).", "example": "eyJ0eX…"}


@blueprint.get("/users/me/data-export")
@limit("RATELIMIT_READ")
@objective(LIST)
@signed_in
@blueprint.arguments(ExportHeaders(), location="headers")
@blueprint.response(200, Export())
@blueprint.alt_response(
    200, schema=SEALED, content_type="application/jose", description="All of it; as application/jose encrypted."
)
def data_export(headers: dict[str, Any]) -> Response:
    """All that the service holds about the caller, as a file; encrypted, if a passphrase is given."""
    session, user_id = db.session(), caller().user_id
    if accounts.get(session, user_id) is None:
        raise unauthorized("This account is gone. Sign in with another.")
    chunks = export.export(session, user_id, holdings_of(current_app))
    passphrase = headers.get("passphrase")
    if passphrase is None:
        return _attachment(_begun(chunks), "data-export.json", "application/json")
    try:
        return _attachment([export.seal(chunks, passphrase).encode()], "data-export.jwe", "application/jose")
    except export.TooLarge:
        message = f"More than {export.MOST_SEALED} bytes are not encrypted in one piece: ask without a passphrase."
        raise Problem(422, "The export is too large to be encrypted.", errors={HEADER: [message]}) from None


@blueprint.delete("/users/me")
@limit("RATELIMIT_DELETE")
@objective(CHANGE)
@signed_in
@blueprint.response(204)
@blueprint.alt_response(409, description="The caller is the only admin.")
def erase() -> None:
    """Forget the caller: the account and all that belongs to it."""
    try:
        erasure = service.erase(db.session(), caller().user_id, holdings_of(current_app).values(), origin=origin())
    except NoSuchUser:
        raise unauthorized("This account is gone already.") from None
    except LastAdmin:
        raise Problem(409, "You are the only admin: make somebody else one first.") from None
    sessions.end(erasure.session_ids)
    _keep(erasure)


def _begun(chunks: Iterator[bytes]) -> Iterable[bytes]:
    """The chunks, of which the first is read before the answer begins: most failures can be answered as such then."""
    first = next(chunks)
    return stream_with_context(chain([first], chunks))


def _attachment(content: Iterable[bytes], name: str, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _keep(erasure: Erasure) -> None:
    try:
        tombstones.write(db.session(), storage_of(current_app), erasure)
    except StorageUnavailable:
        logger.warning("the tombstone of user %s is kept in the storage later", erasure.user_id)
