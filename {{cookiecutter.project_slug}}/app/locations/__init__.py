"""Where users are and were."""

from __future__ import annotations

from flask import Flask

from app import api
from app.locations.views import blueprint


def init_app(app: Flask) -> None:
    """Serve the routes."""
    api.register(app, blueprint)
