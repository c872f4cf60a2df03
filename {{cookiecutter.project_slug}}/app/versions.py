"""The API's versions, and how callers learn that one of them is to be left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from flask import Flask, Response, current_app, request
from werkzeug.http import http_date

from app.settings import Settings, settings_of

VERSIONS = ("v1", "v2")
LEGACY = "legacy"  # version 1 at addresses that name no version
DOCS = "/docs"


@dataclass(frozen=True)
class Deprecation:
    """Since when callers should leave a version, when it goes away if that is known, and where they should go."""

    since: datetime
    sunset: datetime | None
    successor: str

    def headers(self) -> Iterator[tuple[str, str]]:
        """`Deprecation` as RFC 9745 has it, `Sunset` as RFC 8594 has it, and where to read about it."""
        yield "Deprecation", f"@{int(self.since.timestamp())}"
        if self.sunset:
            yield "Sunset", http_date(self.sunset)
        yield "Link", f'<{DOCS}>; rel="deprecation"; type="text/html"'

    def link_to_successor(self, path: str) -> str:
        """A link (RFC 5829) from an address of the version to that of its successor."""
        return f'<{quote(f"{prefix(self.successor)}/{_within_version(path)}")}>; rel="successor-version"'


def init_app(app: Flask) -> None:
    """Have every answer of a deprecated version say so, errors too."""
    app.extensions["deprecations"] = _deprecations(settings_of(app))
    if app.extensions["deprecations"]:
        app.after_request(_announce)


def prefix(version: str) -> str:
    """What the paths of a version begin with."""
    return "/api" if version == LEGACY else f"/api/{version}"


def deprecations_of(app: Flask) -> Mapping[str, Deprecation]:
    """Every version that callers should leave, by name."""
    found: Mapping[str, Deprecation] = app.extensions["deprecations"]
    return found


def _deprecations(settings: Settings) -> dict[str, Deprecation]:
    found = {}
    if since := settings.API_V1_DEPRECATED_AT:
        found["v1"] = Deprecation(since, settings.API_V1_SUNSET_AT, "v2")
    if (since := settings.API_LEGACY_DEPRECATED_AT) and settings.API_LEGACY_ENABLED:
        found[LEGACY] = Deprecation(since, settings.API_LEGACY_SUNSET_AT, "v2" if "v1" in found else "v1")
    return found


def _within_version(path: str) -> str:
    """`locations/active` of `/api/v1/locations/active`, and of `/api/locations/active`."""
    first, _, rest = path.removeprefix("/api/").partition("/")
    return rest if first in VERSIONS else path.removeprefix("/api/")


def _version() -> str | None:
    """The version that the request asked, also where it has nothing at the address; None for other addresses."""
    if not request.path.startswith("/api/"):
        return None
    first = request.path.split("/")[2]
    of_no_version = request.endpoint is not None and not request.endpoint.startswith(f"{LEGACY}_")
    return first if first in VERSIONS else None if of_no_version else LEGACY


def _announce(response: Response) -> Response:
    if deprecation := deprecations_of(current_app).get(_version() or ""):
        for name, value in deprecation.headers():
            response.headers.add(name, value)
        if _has(deprecation.successor):
            response.headers.add("Link", deprecation.link_to_successor(request.path))
    return response


def _has(version: str) -> bool:
    """Whether another version has the route that was asked; supposed to be so where there is none."""
    _, _, route = (request.endpoint or "").partition("_")
    return not route or f"{version}_{route}" in current_app.view_functions
