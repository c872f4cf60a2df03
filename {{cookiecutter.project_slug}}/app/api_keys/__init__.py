"""Keys with which programs call the API for a user."""

from __future__ import annotations

from flask import Flask

from app import api, personal_data
from app.api_keys import service
from app.api_keys.views import blueprint
from app.database import db
from app.personal_data import Holding
from app.security import access


def init_app(app: Flask) -> None:
    """Serve the routes, and answer for keys."""
    api.register(app, blueprint)
    access.register_key_check(app, lambda key: service.check(db.session(), key))
    personal_data.register(app, "api_keys", Holding(("api_keys",), service.tell))
