"""Error responses: RFC 9457 problem details with the additional members `message`, `errors` and `request_id`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, ServiceUnavailable
from werkzeug.http import HTTP_STATUS_CODES

from app.platform.web import problem_types
from app.platform.web.problem_types import ProblemType
from app.platform.web.request_state import request_state
from app.platform.web.route_policy import View, policy_of

logger = logging.getLogger(__name__)

MIME_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
# An error response is small for every request: this many fields are named, with this many characters of their
# names.
MAX_ERRORS = 20
MAX_NAME_LENGTH = 100
MORE = "_more"  # the name of the entry that counts the other fields

# Werkzeug's texts are written for users of browsers.
DETAILS = {
    404: "No resource exists at this URL.",
    500: "Internal error. Quote the request id when you report it.",
    503: "The service is temporarily unavailable. Try again shortly.",
}


class Problem(HTTPException):
    """An error that becomes a problem response.

    `kind`: its type, or an HTTP status that says it all. `errors`: messages by field; nested fields as `items.3.name`.
    """

    def __init__(
        self,
        kind: ProblemType | int,
        message: str,
        *,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description=message)
        if isinstance(kind, ProblemType):
            self.code, self.type_uri = kind.status, kind.uri
        else:
            self.code, self.type_uri = kind, problem_types.default_uri(kind)
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})


def raises(*types: ProblemType) -> Callable[[View], View]:
    """Declare the types of problems that a route raises besides those of the platform; the specification lists them."""

    def decorate(view: View) -> View:
        policy_of(view).problem_types += types
        return view

    return decorate


def service_unavailable(message: str) -> Problem:
    """Return a 503 problem with `Retry-After`, for a dependency that is temporarily unavailable."""
    return Problem(503, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def init_app(app: Flask) -> None:
    """Register the types, and return a problem response for every error, including unexpected exceptions."""
    problem_types.init_app(app)
    app.register_error_handler(HTTPException, http_error_response)
    app.register_error_handler(Exception, unexpected_error_response)


def http_error_response(error: HTTPException) -> Response:
    """Return the problem response of an HTTP error, with the headers of the error such as `Allow`."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    errors = _bounded(_flatten(_field_errors(error)))
    type_uri = error.type_uri if isinstance(error, Problem) else problem_types.default_uri(status)
    response = problem_response(status, type_uri, _message(error, errors), errors)
    for name, value in _headers(error):
        response.headers[name] = value
    return response


def problem_response(
    status: int, type_uri: str, message: str, errors: Mapping[str, list[str]] | None = None
) -> Response:
    """Return a response with a problem document (RFC 9457, section 3)."""
    document: dict[str, Any] = {
        "type": type_uri,
        "title": HTTP_STATUS_CODES.get(status, "Unknown Error"),
        "status": status,
        "detail": message,
        "instance": request.path,
        "message": message,
        "request_id": request_state().request_id,
    }
    if errors:
        document["errors"] = errors
    return Response(f"{json.dumps(document)}\n", status, mimetype=MIME_TYPE)


def _message(error: HTTPException, errors: Mapping[str, list[str]]) -> str:
    if isinstance(error, Problem):
        return str(error.description)
    if errors:
        return "The request is invalid: see errors."
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        return f"This URL does not accept {request.method}. It accepts: {', '.join(sorted(error.valid_methods))}."
    return DETAILS.get(error.code or HTTPStatus.INTERNAL_SERVER_ERROR) or str(error.description)


def _field_errors(error: HTTPException) -> Any:
    """Return messages by field; webargs nests them below the location (json, query) that it parsed."""
    if isinstance(error, Problem):
        return error.errors
    messages = getattr(error, "data", {}).get("messages", {})
    return messages[next(iter(messages))] if len(messages) == 1 else messages


def _bounded(fields: Iterator[tuple[str, list[str]]]) -> dict[str, list[str]]:
    """Return the messages of the first fields, and how many more fields have messages."""
    errors = {_shortened(name): messages for name, messages in islice(fields, MAX_ERRORS)}
    if more := sum(1 for _ in fields):
        errors[MORE] = [f"{more} more fields have errors."]
    return errors


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}…"


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield marshmallow's nested messages by path; `_schema` is a message about the whole object."""
    if isinstance(messages, list):
        yield path or "_schema", [str(text) for text in messages]
        return
    for key, value in messages.items():
        inner = path if key == "_schema" else f"{path}.{key}" if path else str(key)
        yield from _flatten(value, inner)


def _headers(error: HTTPException) -> Iterator[tuple[str, str]]:
    if isinstance(error, Problem):
        yield from error.headers.items()
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            yield name, value


def unexpected_error_response(error: Exception) -> Response:
    """Log an exception that nothing handles, and return 500."""
    logger.error("unhandled exception", exc_info=error)  # Sentry, if set up, reports log records of this level
    return http_error_response(InternalServerError())


def retry_later_response() -> Response:
    """Return 503 for a temporary failure of a dependency: clients may retry."""
    response = http_error_response(ServiceUnavailable())
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
