"""Calls of the routes of the audit log (see tests/route_calls.py)."""

from __future__ import annotations

from tests.route_calls import API, RouteCaller


def call_routes(caller: RouteCaller) -> None:
    """Call every route of the audit log."""
    caller.call("GET", f"{API}/admin/audit-logs", caller.user("admin"))
