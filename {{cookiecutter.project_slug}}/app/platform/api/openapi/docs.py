"""The documentation page (Swagger UI)."""

from __future__ import annotations

from pathlib import Path

import flask_swagger_ui
from flask import Flask, Response, send_from_directory

from app.platform.api.rate_limits import no_rate_limit
from app.platform.api.versions import DOCS
from app.platform.security.access import public
from app.platform.telemetry.objectives import no_objective

PAGE_FOLDER = Path(__file__).parent.parent / "docs_page"
PAGE_FILES = frozenset(file.name for file in PAGE_FOLDER.iterdir())
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
ASSET_MAX_AGE_SECONDS = 3600
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Serve the page, its scripts and its styles."""
    app.add_url_rule(DOCS, view_func=docs)
    app.add_url_rule(f"{DOCS}/<name>", view_func=docs_asset)


@public("documentation")
@no_rate_limit("static files")
@no_objective("read by developers of clients")
def docs() -> Response:
    """Return the documentation page; it loads nothing from other hosts."""
    response = send_from_directory(PAGE_FOLDER, "index.html")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


@public("documentation")
@no_rate_limit("static files")
@no_objective("read by developers of clients")
def docs_asset(name: str) -> Response:
    """Return a script or style of the documentation page."""
    folder = PAGE_FOLDER if name in PAGE_FILES else SWAGGER_UI
    return send_from_directory(folder, name, max_age=ASSET_MAX_AGE_SECONDS)
