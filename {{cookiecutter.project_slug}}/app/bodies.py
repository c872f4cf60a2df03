"""How bodies and queries are read: strictly, since what one reader lets pass another one trips over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, NoReturn

import flask_smorest
from flask import Flask, Request, Response, current_app, request
from marshmallow import RAISE, missing
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import RequestEntityTooLarge

from app.errors import Problem
from app.framework import asked

BODIES = ("json", "form", "files")


class Parser(FlaskParser):
    """Reads requests strictly: JSON must be JSON (RFC 8259), and what no schema names is refused."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012

    def _raw_load_json(self, req: Request) -> Any:
        if _is_absent(req) and not _requires_body():
            return missing
        if not is_json_request(req):
            raise Problem(415, "Send the body as JSON, with the header Content-Type: application/json.")
        body = req.get_data()
        if req.content_length is None and len(body) >= (req.max_content_length or len(body) + 1):
            raise RequestEntityTooLarge  # werkzeug cuts off a body that does not announce its length
        try:
            return json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
        except UnicodeDecodeError:
            raise Problem(400, "The body is not UTF-8.") from None
        except RecursionError:
            raise Problem(400, "The body is nested too deeply.") from None
        except ValueError as error:
            raise Problem(400, f"The body is not JSON: {error}.") from None


class Blueprint(flask_smorest.Blueprint):
    """A blueprint of the API."""

    ARGUMENTS_PARSER = Parser()

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Any:
        """As flask-smorest has it; a view that promises no body and returns nothing is answered without any."""
        described = super().response(status_code, schema, **options)
        return described if schema is not None else lambda view: described(_without_body(view, status_code))


def init_app(app: Flask) -> None:
    """Refuse queries where none is declared."""
    app.before_request(_refuse_undeclared_query)


def inputs(view: Any) -> Iterator[Mapping[str, Any]]:
    """What the decorators of a view declare as its input: `in`, `schema`, `required`, one for each place."""
    yield from getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])


def _without_body(view: Callable[..., Any], status: int) -> Callable[..., Any]:
    @wraps(view)
    def call(*arguments: Any, **named: Any) -> Any:
        result = view(*arguments, **named)
        return result if result is not None else Response(status=status, content_type="")

    return call


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; two members of one name are refused, since readers differ in which of them they believe."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object names a member twice")
    return result


def _is_absent(req: Request) -> bool:
    return not req.content_type and not req.content_length and "Transfer-Encoding" not in req.headers


def _requires_body() -> bool:
    view = current_app.view_functions[request.endpoint or ""]
    return any(declared["required"] for declared in inputs(view) if declared["in"] in BODIES)


def _refuse_undeclared_query() -> None:
    """A route of the API that declares no query takes none: a typing error must not pass as an empty filter."""
    it = asked()
    if not it.query_string or it.routing_exception is not None or not it.path.startswith("/api/"):
        return
    view = current_app.view_functions[it.endpoint or ""]
    if it.args and not any(declared["in"] == "query" for declared in inputs(view)):
        raise Problem(422, "This address takes no query.", errors={name: ["Unknown field."] for name in it.args})
