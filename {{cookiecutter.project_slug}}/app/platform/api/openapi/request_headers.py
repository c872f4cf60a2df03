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


def parameters(policy: RoutePolicy) -> Iterator[dict[str, Any]]:
    """Yield the request headers of a route."""
    if policy.accepts_idempotency_key:
        yield IDEMPOTENCY_KEY


def response_headers(policy: RoutePolicy, status: int) -> Iterator[str]:
    """Yield the headers of a response of a route."""
    if policy.accepts_idempotency_key and status < HTTPStatus.BAD_REQUEST:
        yield REPLAYED
