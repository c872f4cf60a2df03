"""Calls of the routes of privacy (see tests/route_calls.py)."""

from __future__ import annotations

from tests.accounts.factory import PASSWORD
from tests.route_calls import API, RouteCaller


def call_routes(caller: RouteCaller) -> None:
    """Call every route of privacy."""
    for path in (f"{API}/users/me/data-export", "/api/user/data-export"):
        caller.call("GET", path, caller.user())
    caller.call("DELETE", f"{API}/users/me", caller.user(), json={"password": PASSWORD})
