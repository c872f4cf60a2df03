"""Users: making an account, signing in, one's own profile."""

from __future__ import annotations

from flask import Flask

from app import api, boot
from app.accounts import tasks  # noqa: F401 - so that a worker knows them
from app.accounts.commands import make_first_admin
from app.accounts.views import blueprint


def init_app(app: Flask) -> None:
    """Serve the routes, and have `flask init-db` make the first admin."""
    api.register(app, blueprint)
    boot.register_seed(app, make_first_admin)
