"""The API's versions, how a body is read, and the OpenAPI specification with its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import flask_smorest
import flask_swagger_ui
from flask import Flask, Request, Response, current_app, jsonify, request, send_from_directory
from marshmallow import RAISE, Schema, fields
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import RequestEntityTooLarge

from app.errors import Problem
from app.limits import unlimited
from app.security.access import public
from app.settings import settings_of

VERSIONS = ("v1",)
DOCS_PAGE = Path(__file__).parent / "docs_page"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
ASSET_SECONDS = 3600
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)


class Parser(FlaskParser):
    """Reads requests strictly: JSON must be JSON (RFC 8259), and what no schema names is refused."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012

    def _raw_load_json(self, req: Request) -> Any:
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


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; two members of one name are refused, since readers differ in which of them they believe."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object names a member twice")
    return result


class Blueprint(flask_smorest.Blueprint):
    """A blueprint of the API."""

    ARGUMENTS_PARSER = Parser()


class ProblemSchema(Schema):
    """An error, as RFC 9457 has it."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    message = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))
    request_id = fields.String(required=True)


class Api(flask_smorest.Api):
    """One version's specification; errors are answered by `app.errors`."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        pass


def init_app(app: Flask) -> None:
    """Prepare every version's specification, and serve the documentation page."""
    app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's default provider, which is in use
    app.before_request(_refuse_undeclared_query)
    app.extensions["api_versions"] = {version: _specify(app, version) for version in VERSIONS}
    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/docs/<name>", view_func=docs_asset)


def register(app: Flask, blueprint: Blueprint) -> None:
    """Serve a feature's blueprint under every version of the API."""
    for version, api in app.extensions["api_versions"].items():
        api.register_blueprint(blueprint, url_prefix=f"/api/{version}", name=f"{version}_{blueprint.name}")


def _specify(app: Flask, version: str) -> Api:
    prefix = version.upper()
    app.config |= {
        f"{prefix}_API_TITLE": settings_of(app).SERVICE_NAME,
        f"{prefix}_API_VERSION": version,
        f"{prefix}_OPENAPI_VERSION": "3.1.0",
    }
    api = Api(app, config_prefix=prefix)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    app.add_url_rule(f"/api/{version}/openapi.json", f"openapi_{version}", specification, defaults={"version": version})
    return api


@public("the API's description holds nothing secret")
@unlimited("made once, and then only sent")
def specification(version: str) -> Response:
    """The OpenAPI document of one version."""
    return jsonify(current_app.extensions["api_versions"][version].spec.to_dict())


@public("documentation")
@unlimited("a page and its files")
def docs() -> Response:
    """The documentation page; it loads nothing from other hosts."""
    response = send_from_directory(DOCS_PAGE, "index.html")
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response


@public("documentation")
@unlimited("a page and its files")
def docs_asset(name: str) -> Response:
    """A script or style of the documentation page."""
    folder = DOCS_PAGE if (DOCS_PAGE / name).is_file() else SWAGGER_UI
    return send_from_directory(folder, name, max_age=ASSET_SECONDS)


def _refuse_undeclared_query() -> None:
    """A route of the API that declares no query takes none: a typing error must not pass as an empty filter."""
    if not request.args or request.routing_exception is not None or not request.path.startswith("/api/"):
        return
    view = current_app.view_functions[request.endpoint or ""]
    declared = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
    if not any(parameter["in"] == "query" for parameter in declared):
        raise Problem(422, "This address takes no query.", errors={name: ["Unknown field."] for name in request.args})
