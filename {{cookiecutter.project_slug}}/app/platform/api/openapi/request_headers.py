"""The headers that routes accept and send because of a decorator, such as `idempotent`."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from app.platform.api.idempotency import MAX_LENGTH, REPLAYED
from app.platform.web.route_policy import RoutePolicy

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": (
        "A random key, such as a UUID. A request that is repeated with its key has one effect and gets the first answer"
        f", with `{REPLAYED}: true`. Send a new key with each new request."
    ),
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_LENGTH,
        "pattern": "^[!-~]+$",
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    },
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "description": "ETags from earlier responses; 304 without a body if the current one is among them.",
    "schema": {"type": "string", "example": '"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"'},
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": "ETags from earlier responses; 412 without an effect if the current one is not among them.",
    "schema": {"type": "string", "example": '"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"'},
}
NOT_MODIFIED = "Unchanged: the ETag of the response is in `If-None-Match`."


def parameters(policy: RoutePolicy, method: str) -> Iterator[dict[str, Any]]:
    """Yield the request headers of a route."""
    if policy.has_etag and method == "get":
        yield IF_NONE_MATCH
    if policy.checks_if_match:
        yield IF_MATCH
    if policy.accepts_idempotency_key:
        yield IDEMPOTENCY_KEY


def response_headers(policy: RoutePolicy, status: int) -> Iterator[str]:
    """Yield the headers of a response of a route."""
    if policy.has_etag and status < HTTPStatus.BAD_REQUEST:
        yield "ETag"
    if policy.accepts_idempotency_key and status < HTTPStatus.BAD_REQUEST:
        yield REPLAYED
