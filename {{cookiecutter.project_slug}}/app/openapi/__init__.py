"""The API's specification, one OpenAPI 3.1 document for each version, and the page that shows it."""

from __future__ import annotations

import json
from typing import Any

import flask_smorest
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask, Response, current_app

from app.limits import unlimited
from app.observability.slo.objectives import no_objective
from app.openapi import docs
from app.openapi.document import complete
from app.openapi.problems import ProblemSchema
from app.security.access import public
from app.settings import settings_of
from app.versions import VERSIONS, prefix

OPENAPI = "3.1.0"


class Converter(OpenAPIConverter):
    """Describes schemas in the words of their docstrings."""

    def schema2jsonschema(self, schema: Any) -> dict[str, Any]:
        """A schema in JSON Schema's terms."""
        words = (type(schema).__doc__ or "").partition("\n")[0]
        return {"description": words, **super().schema2jsonschema(schema)}  # type: ignore[no-untyped-call] # apispec's own


class Plugin(MarshmallowPlugin):
    """apispec's reader of schemas, with that converter."""

    Converter = Converter


class Api(flask_smorest.Api):
    """What flask-smorest reads off the views of one version; errors are answered by `app.errors`."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # every status is named

    def _register_error_handlers(self) -> None:
        pass


def init_app(app: Flask) -> None:
    """Prepare every version's specification, and serve them and their page."""
    app.extensions["apis"] = {version: _prepare(app, version) for version in VERSIONS}
    app.extensions["specifications"] = {}
    for version in VERSIONS:
        address, endpoint = f"{prefix(version)}/openapi.json", f"{version}_openapi"
        app.add_url_rule(address, endpoint, specification, defaults={"version": version})
    docs.init_app(app)


def api_of(app: Flask, version: str) -> Api:
    """Where the routes of a version are registered."""
    api: Api = app.extensions["apis"][version]
    return api


def describe(app: Flask, version: str) -> dict[str, Any]:
    """The OpenAPI document of a version, for every route that is registered by now."""
    return complete(app, version, api_of(app, version).spec.to_dict())


@public("the API's description holds nothing secret")
@unlimited("made once, and then only sent")
@no_objective("read by people who write clients")
def specification(version: str) -> Response:
    """The OpenAPI document of one version."""
    made: dict[str, bytes] = current_app.extensions["specifications"]
    if version not in made:
        made[version] = json.dumps(describe(current_app, version)).encode()
    return Response(made[version], mimetype="application/json")


def _prepare(app: Flask, version: str) -> Api:
    options = {
        "API_TITLE": settings_of(app).SERVICE_NAME,
        "API_VERSION": version,
        "OPENAPI_VERSION": OPENAPI,
    }
    app.config |= {f"{version.upper()}_{name}": value for name, value in options.items()}
    return Api(app, config_prefix=version.upper(), spec_kwargs={"marshmallow_plugin": Plugin()})
