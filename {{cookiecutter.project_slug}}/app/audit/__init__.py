"""Who did what to what, when, and from where."""

from __future__ import annotations

from flask import Flask

from app import api, personal_data
from app.audit import service
from app.audit.views import blueprint
from app.personal_data import Holding


def init_app(app: Flask) -> None:
    """Serve the list; other features write here through `audit.service`. What is written here is not forgotten."""
    api.register(app, blueprint)
    personal_data.register(app, "audit_logs", Holding(("audit_logs",), service.tell))
