"""What admins do."""

from __future__ import annotations

from flask import Flask

from app import api
from app.admin.views import blueprint


def init_app(app: Flask) -> None:
    """Serve the routes."""
    api.register(app, blueprint)
