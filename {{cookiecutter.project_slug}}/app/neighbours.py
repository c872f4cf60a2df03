"""Whether a request comes from beside the service, and not from the world."""

from __future__ import annotations

import ipaddress

from flask import request


def is_neighbour() -> bool:
    """Whether the request came from a private address and through no proxy."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_private
    except ValueError:
        return request.remote_addr == ""  # a Unix socket has no address
