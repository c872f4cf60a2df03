"""Strict parsing of bodies and queries: parsers that disagree are a security risk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, NoReturn

import flask_smorest
from flask import Flask, Request, Response, current_app, request
from gunicorn.http.errors import NoMoreData, ParseException
from marshmallow import RAISE, Schema, ValidationError, missing
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from app.platform.api.value_limits import SPARE_VALUES, lists, max_commas
from app.platform.web.problem_types import (
    BODY_TOO_LARGE,
    MALFORMED_REQUEST,
    UNSUPPORTED_MEDIA_TYPE,
    VALIDATION_FAILED,
)
from app.platform.web.problems import Problem, http_error_response
from app.platform.web.request_state import current_request

BODY_LOCATIONS = ("json", "form", "files")
MAX_MEMBERS = 1000  # of one object, and of a query
MAX_DIGITS = 310  # of an integer; the largest float has 309
# What Gunicorn and Werkzeug raise while a body is read that ends early or whose chunks are malformed.
MALFORMED_BODY = (ParseException, NoMoreData, ClientDisconnected)


class StrictParser(FlaskParser):
    """Rejects invalid JSON (RFC 8259) and everything that the schema does not declare."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012 - overrides webargs'

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the parsed body; rejects a body with more values than the schema can need before it is parsed."""
        if is_json_request(req):
            _check_value_count(_body(req), schema)
        return super().load_json(req, schema)

    def _raw_load_json(self, req: Request) -> Any:
        if _has_no_body(req) and not _requires_body():
            return missing
        if not is_json_request(req):
            raise Problem(
                UNSUPPORTED_MEDIA_TYPE, "Send the body as JSON, with the header Content-Type: application/json."
            )
        try:
            return json.loads(
                _body(req).decode(),
                parse_int=_parse_integer,
                parse_constant=_reject_constant,
                object_pairs_hook=_reject_duplicates,
            )
        except UnicodeDecodeError:
            raise Problem(MALFORMED_REQUEST, "The body is not valid UTF-8.") from None
        except RecursionError:
            raise Problem(MALFORMED_REQUEST, "The body is nested too deeply.") from None
        except ValueError as error:
            raise Problem(MALFORMED_REQUEST, f"The body is not valid JSON: {error}.") from None

    def handle_error(self, error: ValidationError, *args: Any, **options: Any) -> NoReturn:
        """Reject the request. The traceback is dropped: its frames hold the body, and marshmallow's holds the error."""
        super().handle_error(error.with_traceback(None), *args, **options)


class Blueprint(flask_smorest.Blueprint):
    """A blueprint of the API."""

    ARGUMENTS_PARSER = StrictParser()

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Any:
        """Like flask-smorest's; without a schema, a view that returns None yields an empty response."""
        decorate = super().response(status_code, schema, **options)
        return decorate if schema is not None else lambda view: decorate(_empty_if_none(view, status_code))


def init_app(app: Flask) -> None:
    """Reject undeclared query parameters and malformed bodies."""
    app.before_request(_reject_undeclared_query)
    for error in MALFORMED_BODY:
        app.register_error_handler(error, _malformed_body_response)


def declared_inputs(view: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the inputs that the decorators of a view declare: `in`, `schema` and `required` of each location."""
    yield from getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])


def _malformed_body_response(_error: Exception) -> Response:
    return http_error_response(Problem(MALFORMED_REQUEST, "The body is incomplete, or its chunks are malformed."))


def _body(req: Request) -> bytes:
    limit = req.max_content_length
    try:
        body = req.get_data()
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    if limit and req.content_length is None and len(body) >= limit:  # werkzeug truncates a body without Content-Length
        raise _too_large(limit)
    return body


def _too_large(limit: int | None) -> Problem:
    return Problem(BODY_TOO_LARGE, f"The body is larger than {limit} bytes.")


def _check_value_count(body: bytes, schema: Schema) -> None:
    """Raise a problem if a JSON text has more values than the schema can need.

    Commas separate values; to count them takes a thousandth of the time that it takes to parse the text.
    """
    limit = max_commas(type(schema)) + SPARE_VALUES
    if body.count(b",") > limit:
        errors = {name: [str(field.length.error)] for name, field in lists(schema)}
        raise Problem(
            VALIDATION_FAILED, f"The body has too many values: at most {limit:g} are possible here.", errors=errors
        )


def _empty_if_none(view: Callable[..., Any], status: int) -> Callable[..., Any]:
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        return result if result is not None else Response(status=status, content_type="")

    return wrapper


def _parse_integer(digits: str) -> int:
    """Return an integer; raises `ValueError` for one that no number type can represent, which is slow to parse."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer has more than {MAX_DIGITS} digits")
    return int(digits)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raises `ValueError` for duplicate members, because parsers differ in which one they use."""
    if len(pairs) > MAX_MEMBERS:
        raise Problem(VALIDATION_FAILED, f"An object in the body has more than {MAX_MEMBERS} members.")
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has a duplicate member")
    return result


def _has_no_body(req: Request) -> bool:
    return not req.content_type and not req.content_length and "Transfer-Encoding" not in req.headers


def _requires_body() -> bool:
    view = current_app.view_functions[request.endpoint or ""]
    return any(item["required"] for item in declared_inputs(view) if item["in"] in BODY_LOCATIONS)


def _reject_undeclared_query() -> None:
    """Reject query parameters of API routes that declare none: a misspelt filter must not return everything."""
    req = current_request()
    if not req.query_string or req.routing_exception is not None or not req.path.startswith("/api/"):
        return
    view = current_app.view_functions[req.endpoint or ""]
    if len(req.args) > MAX_MEMBERS:
        raise Problem(VALIDATION_FAILED, f"The query has more than {MAX_MEMBERS} parameters.")
    if duplicates := [name for name, values in req.args.lists() if len(values) > 1]:
        errors = {name: ["Must be sent once."] for name in duplicates}
        raise Problem(VALIDATION_FAILED, "The query names a parameter twice.", errors=errors)
    if req.args and not any(item["in"] == "query" for item in declared_inputs(view)):
        errors = {name: ["Unknown field."] for name in req.args}
        raise Problem(VALIDATION_FAILED, "This route accepts no query parameters.", errors=errors)
