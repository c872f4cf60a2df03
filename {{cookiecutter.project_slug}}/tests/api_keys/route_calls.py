"""Calls of the routes of API keys (see tests/route_calls.py)."""

from __future__ import annotations

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.platform.components import platform_of
from tests.api_keys.factory import make_key
from tests.route_calls import API, RouteCaller


def create_rows(_app: Flask, session: Session, user: User) -> None:
    """Create a key of the user."""
    make_key(session, user)


def call_routes(caller: RouteCaller) -> None:
    """Call every route of API keys."""
    user = caller.user()
    caller.call("GET", f"{API}/api-keys", user)
    caller.call("POST", f"{API}/api-keys", user, json={"name": "a key", "scopes": list(platform_of(caller.app).scopes)})
    caller.call("DELETE", f"{API}/api-keys/<int:key_id>", user)
    admin = caller.user("admin")
    caller.call("GET", f"{API}/admin/api-keys", admin)
    caller.call("DELETE", f"{API}/admin/api-keys/<int:key_id>", admin)
