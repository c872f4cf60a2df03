"""Registration of the features' blueprints under every version of the API."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

from app.platform.api import openapi, problem_pages, request_parsing, versions
from app.platform.api.request_parsing import Blueprint
from app.platform.api.versions import LEGACY, VERSIONS, url_prefix
from app.platform.settings.declarations import settings_of

__all__ = ["VERSIONS", "Blueprint", "init_app", "register_blueprint"]


class IdConverter(IntegerConverter):
    """The id of a row in a path: at most 18 digits, which always fit into 64 bits.

    Bounds are in the regex because an error of the converter would become 405 if another method matches the path.
    """

    regex = "[1-9][0-9]{0,17}"

    def __init__(self, map_: Map) -> None:
        super().__init__(map_, min=1, max=10**18 - 1)  # bounds for the specification


def init_app(app: Flask) -> None:
    """Set up the versions, request parsing, the specifications and the pages about problems."""
    app.url_map.converters["int"] = IdConverter
    versions.init_app(app)
    request_parsing.init_app(app)
    openapi.init_app(app)
    problem_pages.init_app(app)


def register_blueprint(app: Flask, blueprint: Blueprint, versions: Sequence[str] = VERSIONS) -> None:
    """Register a blueprint under these versions; version 1 also under `/api/` if `API_LEGACY_ENABLED`."""
    for version in versions:
        api = openapi.api_of(app, version)
        api.register_blueprint(blueprint, url_prefix=url_prefix(version), name=f"{version}_{blueprint.name}")
    if "v1" in versions and settings_of(app).API_LEGACY_ENABLED:
        app.register_blueprint(blueprint, url_prefix=url_prefix(LEGACY), name=f"{LEGACY}_{blueprint.name}")
