"""One shape for every error: RFC 9457 problem details, with `message` and `errors` beside the standard members."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask, Response, g, json, request
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.http import HTTP_STATUS_CODES

logger = logging.getLogger(__name__)

MIME_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

# What werkzeug says to a browser's user is no help to an API's.
DETAILS = {
    404: "There is nothing at this address.",
    500: "Something went wrong on our side. Quote the request id when you report it.",
    503: "The service cannot answer right now. Try again shortly.",
}


class Problem(HTTPException):
    """An error to be answered as a problem.

    `errors` holds texts by field, nested fields as `locations.3.latitude`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description=message)
        self.code = status
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})


def unavailable(message: str) -> Problem:
    """What to answer while something that the request needs is away, and worth another try."""
    return Problem(503, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def init_app(app: Flask) -> None:
    """Answer every error, whoever raised it, as a problem."""
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(Exception, _answer_unexpected)
    for gone in (exc.OperationalError, exc.InterfaceError, exc.TimeoutError):
        app.register_error_handler(gone, _answer_database_gone)


def answer(error: HTTPException) -> Response:
    """The response of an HTTP error; `Allow`, `Retry-After` and other headers of the error are kept."""
    if error.code is None or error.code < 400:  # noqa: PLR2004 - a redirect is raised as an exception too
        return error.get_response()  # type: ignore[return-value] # werkzeug types it as its own base class
    errors = dict(_flatten(_field_errors(error)))
    response = problem(error.code, _message(error, errors), errors)
    for name, value in _headers(error):
        response.headers[name] = value
    return response


def problem(status: int, message: str, errors: Mapping[str, list[str]] | None = None) -> Response:
    """A problem document, see RFC 9457 section 3."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Unknown Error"),
        "status": status,
        "detail": message,
        "instance": request.path,
        "message": message,
        "request_id": g.get("request_id", ""),
    }
    if errors:
        document["errors"] = errors
    return Response(f"{json.dumps(document)}\n", status, mimetype=MIME_TYPE)


def _message(error: HTTPException, errors: Mapping[str, list[str]]) -> str:
    if isinstance(error, Problem):
        return str(error.description)
    if errors:
        return "The request is not valid: see errors."
    return DETAILS.get(error.code or 500) or str(error.description)


def _field_errors(error: HTTPException) -> Any:
    """Texts by field: a `Problem` carries them itself, webargs below the place (json, query) that it parsed."""
    if isinstance(error, Problem):
        return error.errors
    messages = getattr(error, "data", {}).get("messages", {})
    return messages[next(iter(messages))] if len(messages) == 1 else messages


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Turn marshmallow's nested messages into `path: texts`; `_schema` stands for the whole of what it is in."""
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


def _answer_unexpected(error: Exception) -> Response:
    logger.error("unhandled exception", exc_info=error)  # which Sentry, where it is set up, listens to
    return answer(InternalServerError())


def _answer_database_gone(error: exc.SQLAlchemyError) -> Response:
    """No connection in time, the server gone, a statement over its time: all pass, and are worth another try."""
    logger.error("database unavailable: %s", error)
    response = answer(ServiceUnavailable())
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
