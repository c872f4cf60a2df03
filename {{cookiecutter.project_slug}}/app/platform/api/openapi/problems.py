"""The error responses of an operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from marshmallow import Schema, fields
from werkzeug.http import HTTP_STATUS_CODES

from app.platform.web.problem_types import PATH
from app.platform.web.problems import DETAILS, MIME_TYPE

INSTANCE = {"example": "/api/v1/items/3"}
REQUEST_ID = {"example": "1d178a501a9b41cb873da2d8a51de140"}


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(
        required=True, metadata={"description": f"The kind of error, a path: `GET {PATH}` explains each."}
    )
    title = fields.String(required=True, metadata={"description": "The name of the HTTP status."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    detail = fields.String(required=True, metadata={"description": "The cause of this error."})
    instance = fields.String(required=True, metadata={"description": "The path of the request.", **INSTANCE})
    message = fields.String(required=True, metadata={"description": "The same as `detail`."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Messages by field; nested fields as `items.3.name`."},
    )
    request_id = fields.String(
        required=True, metadata={"description": "The id of the request, for reports.", **REQUEST_ID}
    )


@dataclass(frozen=True)
class ErrorResponse:
    """An error response that operations share: its description, and an example of `detail`."""

    name: str
    description: str
    detail: str
    headers: tuple[str, ...] = ()


ERROR_RESPONSES = {
    400: ErrorResponse(
        "BadRequest",
        "The body cannot be parsed.",
        "The body is not valid JSON: Expecting value: line 1 column 1.",
    ),
    401: ErrorResponse(
        "Unauthorized",
        "The token or API key is missing, invalid or expired.",
        "Sign in first, and send the token: Authorization: Bearer <access_token>.",
        ("WWW-Authenticate",),
    ),
    403: ErrorResponse("Forbidden", "The caller lacks the permission.", "Only admins may do this."),
    404: ErrorResponse(
        "NotFound",
        "The resource does not exist, or it belongs to another user.",
        DETAILS[404],
    ),
    409: ErrorResponse(
        "Conflict",
        "The request conflicts with another one, for example because that one deleted a resource.",
        "Something that the request refers to was deleted in the meantime. Read it again before you retry.",
    ),
    413: ErrorResponse("TooLarge", "The body is larger than the limit.", "The body is larger than 1048576 bytes."),
    415: ErrorResponse(
        "UnsupportedMediaType",
        "The operation does not accept the media type of the body.",
        "Send the body as JSON, with the header Content-Type: application/json.",
    ),
    422: ErrorResponse(
        "Invalid",
        "The body or the query is invalid: `errors` lists the fields and the reasons. Unknown members are rejected.",
        "The request is invalid: see errors.",
    ),
    429: ErrorResponse(
        "TooManyRequests",
        "A limit is exceeded, of requests or of what one user may do; `detail` says which.",
        "Too many requests: 5 in 60 seconds are allowed. Try again in 12 s.",
        ("Retry-After",),
    ),
    500: ErrorResponse("Unexpected", "An unexpected error in the service.", DETAILS[500]),
    503: ErrorResponse(
        "Unavailable",
        "The service is busy, or the database or another dependency is unavailable.",
        DETAILS[503],
        ("Retry-After",),
    ),
}

STEP_UP = (
    "The token is missing, invalid or expired, or the last proof of the password is older than `STEP_UP_SECONDS`:"
    " `WWW-Authenticate` has the error `insufficient_user_authentication` (RFC 9470), and `detail` says what to do."
)

BODY_STATUSES = (400, 409, 413, 415)
CALLER_STATUSES = (401, 403)
IDENTIFIER_STATUSES = (404,)
RATE_LIMIT_STATUSES = (429,)
# 422 for every operation, because undeclared query parameters are rejected.
COMMON_STATUSES = (422, 500, 503)


def possible_statuses(*, takes_body: bool, is_public: bool, has_identifier: bool, is_limited: bool) -> Iterator[int]:
    """Yield the error statuses that an operation can return, in addition to those that it declares."""
    if takes_body:
        yield from BODY_STATUSES
    if not is_public:
        yield from CALLER_STATUSES
    if has_identifier:
        yield from IDENTIFIER_STATUSES
    if is_limited:
        yield from RATE_LIMIT_STATUSES
    yield from COMMON_STATUSES


def content(status: int, detail: str, types: Sequence[str]) -> dict[str, Any]:
    """Return the content of an error response, with an example of the first of its types."""
    example: dict[str, Any] = {
        "type": types[0],
        "title": HTTP_STATUS_CODES[status],
        "status": status,
        "detail": detail,
        "instance": INSTANCE["example"],
        "message": detail,
        "request_id": REQUEST_ID["example"],
    }
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        example["errors"] = {"quantity": ["Must be from 1 to 100."]}
    return {MIME_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
