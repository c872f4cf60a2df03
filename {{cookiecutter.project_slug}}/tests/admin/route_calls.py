"""Calls of the routes of administration (see tests/route_calls.py)."""

from __future__ import annotations

from tests.route_calls import API, RouteCaller


def call_routes(caller: RouteCaller) -> None:
    """Call every route of administration."""
    caller.call("GET", f"{API}/admin/stats", caller.user("admin"))
