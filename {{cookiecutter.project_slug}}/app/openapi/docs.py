"""The documentation page."""

from __future__ import annotations

from pathlib import Path

import flask_swagger_ui
from flask import Flask, Response, send_from_directory

from app.limits import unlimited
from app.observability.slo.objectives import no_objective
from app.security.access import public
from app.versions import DOCS

PAGE = Path(__file__).parent.parent / "docs_page"
OWN = frozenset(file.name for file in PAGE.iterdir())
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
ASSET_SECONDS = 3600
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Serve the page and its files."""
    app.add_url_rule(DOCS, view_func=docs)
    app.add_url_rule(f"{DOCS}/<name>", view_func=docs_asset)


@public("documentation")
@unlimited("a page and its files")
@no_objective("read by people who write clients")
def docs() -> Response:
    """The documentation page; it loads nothing from other hosts."""
    response = send_from_directory(PAGE, "index.html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


@public("documentation")
@unlimited("a page and its files")
@no_objective("read by people who write clients")
def docs_asset(name: str) -> Response:
    """A script or style of the documentation page."""
    folder = PAGE if name in OWN else SWAGGER_UI
    return send_from_directory(folder, name, max_age=ASSET_SECONDS)
