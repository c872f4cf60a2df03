"""Where the request in hand comes from, for the audit log."""

from __future__ import annotations

from flask import g, request

from app.audit.service import Origin


def origin() -> Origin:
    """The caller's address, behind trusted proxies the one that they report, and the request's id."""
    return Origin(request.remote_addr, g.request_id)
