"""Calls of the routes of locations (see tests/route_calls.py)."""

from __future__ import annotations

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from tests.accounts.factory import make_user
from tests.locations.factory import make_location, share_location
from tests.route_calls import API, RouteCaller

POSITION = {"latitude": 1.0, "longitude": 2.0}


def create_rows(_app: Flask, session: Session, user: User) -> None:
    """Create a position of the user, and one of another user."""
    make_location(session, user)
    other = make_user(session)
    make_location(session, other)
    share_location(session, other)


def call_routes(caller: RouteCaller) -> None:
    """Call every route of locations."""
    user = caller.user()
    caller.call("GET", f"{API}/locations", user)
    caller.call("GET", f"{API}/locations/active", user)
    caller.call("GET", f"{API}/locations/sharing", user)
    for shared in (True, False):
        caller.call("PUT", f"{API}/locations/sharing", user, json={"shared": shared})
    caller.call("POST", f"{API}/locations", user, json=POSITION)
    caller.call("DELETE", f"{API}/locations/<int:location_id>", user)
    caller.call("POST", f"{API}/locations/batch", user, json={"locations": [POSITION] * caller.count})
