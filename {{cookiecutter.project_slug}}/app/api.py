"""The API: features register their routes here, under every version."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

from app import bodies, openapi, versions
from app.bodies import Blueprint
from app.settings import settings_of
from app.versions import LEGACY, VERSIONS, prefix

__all__ = ["VERSIONS", "Blueprint", "init_app", "register"]


class Identifier(IntegerConverter):
    """A row's id in a path: as many digits as always fit into 64 bits.

    The pattern says it all: what is refused after it has matched, werkzeug answers with 405 if it has seen the address
    under another method.
    """

    regex = "[1-9][0-9]{0,17}"

    def __init__(self, map_: Map) -> None:
        super().__init__(map_, min=1, max=10**18 - 1)  # for the specification


def init_app(app: Flask) -> None:
    """Prepare every version and its specification, and serve the documentation page."""
    app.url_map.converters["int"] = Identifier
    versions.init_app(app)
    bodies.init_app(app)
    openapi.init_app(app)


def register(app: Flask, blueprint: Blueprint, versions: Sequence[str] = VERSIONS) -> None:
    """Serve a feature's blueprint under these versions, and its version 1 also under none where the settings say so."""
    for version in versions:
        api = openapi.api_of(app, version)
        api.register_blueprint(blueprint, url_prefix=prefix(version), name=f"{version}_{blueprint.name}")
    if "v1" in versions and settings_of(app).API_LEGACY_ENABLED:
        app.register_blueprint(blueprint, url_prefix=prefix(LEGACY), name=f"{LEGACY}_{blueprint.name}")
