"""Users: making an account, signing in and out, passwords, one's own profile."""

from __future__ import annotations

from flask import Flask

from app import api, boot, personal_data, statistics
from app.accounts import administration, profile_views, service, views
from app.accounts.commands import make_first_admin
from app.accounts.tasks import DAY_SECONDS, REPEAT_SECONDS
from app.database import db
from app.personal_data import Holding
from app.security import sessions
from app.worker import register_schedule


def init_app(app: Flask) -> None:
    """Serve the routes, answer for sessions, and have `flask init-db` make the first admin."""
    api.register(app, views.blueprint)
    api.register(app, profile_views.blueprint)
    sessions.register_truth(app, lambda session_id: service.session_lives(db.session(), session_id))
    personal_data.register(app, "account", Holding(("users", "user_sessions"), service.tell))
    statistics.register(app, "accounts", administration.statistics)
    register_schedule(app, "accounts.repeat_endings", REPEAT_SECONDS)
    register_schedule(app, "accounts.drop_old_sessions", DAY_SECONDS)
    boot.register_seed(app, make_first_admin)
