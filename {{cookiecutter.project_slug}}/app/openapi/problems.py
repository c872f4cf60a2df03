"""What can go wrong with an operation, and how each of it is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, fields
from werkzeug.http import HTTP_STATUS_CODES

from app.errors import MIME_TYPE

ADDRESS = {"example": "/api/v1/locations"}
REQUEST_ID = {"example": "1d178a501a9b41cb873da2d8a51de140"}


class ProblemSchema(Schema):
    """An error, as RFC 9457 has it."""

    type = fields.String(required=True, metadata={"example": "about:blank"})
    title = fields.String(required=True, metadata={"description": "The status in words."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    detail = fields.String(required=True, metadata={"description": "What is wrong with this request."})
    instance = fields.String(required=True, metadata={"description": "The path that was asked.", **ADDRESS})
    message = fields.String(required=True, metadata={"description": "The same as `detail`."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Texts by field; nested fields as `locations.3.latitude`."},
    )
    request_id = fields.String(required=True, metadata={"description": "To be quoted in a report.", **REQUEST_ID})


@dataclass(frozen=True)
class Kind:
    """A status that is answered in the same way wherever it occurs: when that is, and an example of its `detail`."""

    name: str
    when: str
    detail: str
    headers: tuple[str, ...] = ()


KINDS = {
    400: Kind("BadRequest", "The body cannot be read.", "The body is not JSON: Expecting value: line 1 column 1."),
    401: Kind(
        "Unauthorized",
        "Nobody is signed in, or the token or key proves nothing.",
        "Sign in first, and send the token: Authorization: Bearer <access_token>.",
        ("WWW-Authenticate",),
    ),
    403: Kind("Forbidden", "The caller may not do this.", "Only admins may do this."),
    404: Kind("NotFound", "There is no such thing, or it is somebody else's.", "There is nothing at this address."),
    413: Kind("TooLarge", "The body is larger than the service takes.", "The body is too large."),
    415: Kind(
        "UnsupportedMediaType",
        "The body is not of the media type that the operation takes.",
        "Send the body as JSON, with the header Content-Type: application/json.",
    ),
    422: Kind(
        "Invalid",
        "The body or the query does not fit: `errors` says where and why. What nothing names is refused.",
        "The request is not valid: see errors.",
    ),
    429: Kind(
        "TooManyRequests",
        "The limit of this operation is used up.",
        "Too many requests: 5 in 60 seconds are allowed. Try again in 12 s.",
        ("Retry-After",),
    ),
    500: Kind(
        "Unexpected",
        "Something went wrong in the service.",
        "Something went wrong on our side. Quote the request id when you report it.",
    ),
    503: Kind(
        "Unavailable",
        "The database, or something else that the operation needs, does not answer.",
        "The service cannot answer right now. Try again shortly.",
        ("Retry-After",),
    ),
}

OF_A_BODY = (400, 413, 415)
OF_A_CALLER = (401, 403)
OF_AN_IDENTIFIER = (404,)
OF_A_LIMIT = (429,)
# 422 everywhere, since a query that is not declared is refused.
OF_ALL = (422, 500, 503)


def possible(*, takes_body: bool, is_public: bool, has_identifier: bool, is_limited: bool) -> Iterator[int]:
    """The statuses of errors that an operation can give, beside those that it declares itself."""
    if takes_body:
        yield from OF_A_BODY
    if not is_public:
        yield from OF_A_CALLER
    if has_identifier:
        yield from OF_AN_IDENTIFIER
    if is_limited:
        yield from OF_A_LIMIT
    yield from OF_ALL


def content(status: int, detail: str) -> dict[str, Any]:
    """The body of an error, with an example."""
    example = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES[status],
        "status": status,
        "detail": detail,
        "instance": ADDRESS["example"],
        "message": detail,
        "request_id": REQUEST_ID["example"],
    }
    errors: Mapping[str, Any] = {"errors": {"latitude": ["Must be from -90 to 90 degrees."]}} if status == 422 else {}  # noqa: PLR2004
    return {MIME_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": {**example, **errors}}}
