"""The versions of the API, and the headers that announce a deprecation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from flask import Flask, Response, current_app, request
from werkzeug.http import http_date

from app.platform.components import platform_of
from app.platform.settings.declarations import Settings, settings_of

VERSIONS = ("v1", "v2")
LEGACY = "legacy"  # version 1 under /api/, without a version in the path
DOCS = "/docs"


@dataclass(frozen=True)
class Deprecation:
    """When a version is deprecated, when it is removed (if known), and which version replaces it."""

    since: datetime
    sunset: datetime | None
    successor: str

    def headers(self) -> Iterator[tuple[str, str]]:
        """Yield `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and the link to the documentation."""
        yield "Deprecation", f"@{int(self.since.timestamp())}"
        if self.sunset:
            yield "Sunset", http_date(self.sunset)
        yield "Link", f'<{DOCS}>; rel="deprecation"; type="text/html"'

    def link_to_successor(self, path: str) -> str:
        """Return the link (RFC 5829) from a path to the same path in the successor version."""
        return f'<{quote(f"{url_prefix(self.successor)}/{_path_within_version(path)}")}>; rel="successor-version"'


class Deprecations(dict[str, Deprecation]):
    """The deprecated versions of one app, by name."""


def init_app(app: Flask) -> None:
    """Add deprecation headers to every response of a deprecated version, including errors."""
    deprecations = _deprecations(settings_of(app))
    platform_of(app).add(deprecations)
    if deprecations:
        app.after_request(_add_deprecation_headers)


def url_prefix(version: str) -> str:
    """Return the prefix of the paths of a version."""
    return "/api" if version == LEGACY else f"/api/{version}"


def deprecations_of(app: Flask) -> Mapping[str, Deprecation]:
    """Return every deprecated version, by name."""
    return platform_of(app).get(Deprecations)


def _deprecations(settings: Settings) -> Deprecations:
    deprecations = Deprecations()
    if since := settings.API_V1_DEPRECATED_AT:
        deprecations["v1"] = Deprecation(since, settings.API_V1_SUNSET_AT, "v2")
    if (since := settings.API_LEGACY_DEPRECATED_AT) and settings.API_LEGACY_ENABLED:
        successor = "v2" if "v1" in deprecations else "v1"
        deprecations[LEGACY] = Deprecation(since, settings.API_LEGACY_SUNSET_AT, successor)
    return deprecations


def _path_within_version(path: str) -> str:
    """Return `items/3` for `/api/v1/items/3` and for `/api/items/3`."""
    segment, _, rest = path.removeprefix("/api/").partition("/")
    return rest if segment in VERSIONS else path.removeprefix("/api/")


def _requested_version() -> str | None:
    """Return the version of the request's path, also for a 404; None for paths that belong to no version."""
    if not request.path.startswith("/api/"):
        return None
    segment = request.path.split("/")[2]
    if segment in VERSIONS:
        return segment
    unversioned = request.endpoint is not None and not request.endpoint.startswith(f"{LEGACY}_")
    return None if unversioned else LEGACY


def _add_deprecation_headers(response: Response) -> Response:
    if deprecation := deprecations_of(current_app).get(_requested_version() or ""):
        for name, value in deprecation.headers():
            response.headers.add(name, value)
        if _is_route_in(deprecation.successor):
            response.headers.add("Link", deprecation.link_to_successor(request.path))
    return response


def _is_route_in(version: str) -> bool:
    """Whether another version has the route of the request; true if the request matches no route."""
    _, _, route = (request.endpoint or "").partition("_")
    return not route or f"{version}_{route}" in current_app.view_functions
