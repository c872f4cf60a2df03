"""The OpenAPI 3.1 document of each version, and the documentation page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import flask_smorest
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask, Response, current_app
from marshmallow import fields

from app.platform.api.fields import Scope
from app.platform.api.openapi import docs
from app.platform.api.openapi.document import complete_document
from app.platform.api.openapi.problems import ProblemSchema
from app.platform.api.rate_limits import no_rate_limit
from app.platform.api.versions import VERSIONS, url_prefix
from app.platform.components import platform_of
from app.platform.security.access import public
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.objectives import no_objective

OPENAPI = "3.1.0"


class Converter(OpenAPIConverter):
    """Uses the docstring of a schema as its description."""

    def schema2jsonschema(self, schema: Any) -> dict[str, Any]:
        """Return the JSON Schema of a marshmallow schema."""
        description = (type(schema).__doc__ or "").partition("\n")[0]
        return {"description": description, **super().schema2jsonschema(schema)}  # type: ignore[no-untyped-call] # untyped in apispec


class Plugin(MarshmallowPlugin):
    """apispec's plugin for marshmallow, with this converter."""

    Converter = Converter


class Api(flask_smorest.Api):
    """The flask-smorest API of one version, without its error handlers: `app.platform.web.problems` replaces them."""

    ERROR_SCHEMA = ProblemSchema()  # an instance: a class would be instantiated for every error response
    DEFAULT_ERROR_RESPONSE_NAME = None  # every operation lists its error statuses

    def _register_error_handlers(self) -> None:
        pass


@dataclass(frozen=True)
class Specifications:
    """The flask-smorest API of each version, and the cached documents."""

    apis: dict[str, Api]
    documents: dict[str, bytes] = field(default_factory=dict)


def init_app(app: Flask) -> None:
    """Create the API of each version, and serve the documents and the documentation page."""
    platform_of(app).add(Specifications({version: _create_api(app, version) for version in VERSIONS}))
    for version in VERSIONS:
        path, endpoint = f"{url_prefix(version)}/openapi.json", f"{version}_openapi"
        app.add_url_rule(path, endpoint, specification, defaults={"version": version})
    docs.init_app(app)


def api_of(app: Flask, version: str) -> Api:
    """Return the API of a version, which blueprints are registered with."""
    return platform_of(app).get(Specifications).apis[version]


def describe(app: Flask, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of a version, with every route registered so far."""
    return complete_document(app, version, api_of(app, version).spec.to_dict())


@public("the document contains nothing secret")
@no_rate_limit("built once, then cached")
@no_objective("read by developers of clients")
def specification(version: str) -> Response:
    """Return the OpenAPI document of one version."""
    documents = platform_of(current_app).get(Specifications).documents
    if version not in documents:
        documents[version] = json.dumps(describe(current_app, version)).encode()
    return Response(documents[version], mimetype="application/json")


def _create_api(app: Flask, version: str) -> Api:
    options = {
        "API_TITLE": settings_of(app).SERVICE_NAME,
        "API_VERSION": version,
        "OPENAPI_VERSION": OPENAPI,
    }
    app.config |= {f"{version.upper()}_{name}": value for name, value in options.items()}
    plugin = Plugin()
    api = Api(app, config_prefix=version.upper(), spec_kwargs={"marshmallow_plugin": plugin})

    def scope_enum(_converter: Converter, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
        """List the scopes of all features."""
        return {"enum": list(platform_of(app).scopes)} if isinstance(field, Scope) else {}

    plugin.converter.add_attribute_function(scope_enum)  # type: ignore[union-attr] # Api() has set it
    return api
