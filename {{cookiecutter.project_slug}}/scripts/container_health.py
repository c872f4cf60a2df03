#!/usr/bin/env python3
"""Health check of a container: `container_health.py web|worker|beat|flower`; exit status 1 if it is unhealthy.

It starts every few seconds, so it imports little and nothing from the service.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

HTTP_TIMEOUT_SECONDS = 3
HTTP_OK = 200
# A worker touches its heartbeat file every two seconds; beat touches its own after each heartbeat (HEARTBEAT_SECONDS).
MAX_HEARTBEAT_AGE_SECONDS = {"worker": 30, "beat": 90}
# Roles that listen: the variable of the port, the default port, and the path of the health endpoint.
HTTP_ENDPOINTS = {"web": ("PORT", 8000, "/health"), "flower": ("FLOWER_PORT", 5555, "/healthcheck")}


def http_problem(role: str) -> str:
    """Describe why the health endpoint fails; empty if it returns 200."""
    variable, default, path = HTTP_ENDPOINTS[role]
    connection = HTTPConnection("127.0.0.1", int(os.environ.get(variable) or default), timeout=HTTP_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{path}: {error!r}"
    return "" if status == HTTP_OK else f"{path} returned {status}"


def heartbeat_problem(role: str) -> str:
    """Describe a missing or stale heartbeat file of a worker or beat; empty if it is fresh."""
    try:
        age = time.time() - (Path(tempfile.gettempdir()) / f"{role}.alive").stat().st_mtime
    except FileNotFoundError:
        return f"{role}: no heartbeat file"
    limit = MAX_HEARTBEAT_AGE_SECONDS[role]
    return "" if age <= limit else f"{role}: last heartbeat {age:.0f} s ago; the limit is {limit} s"


def main() -> int:
    """Print the result, which `docker inspect` shows; return the exit status."""
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role not in {*HTTP_ENDPOINTS, *MAX_HEARTBEAT_AGE_SECONDS}:
        print("usage: container_health.py web|worker|beat|flower", file=sys.stderr)
        return 2
    problem = http_problem(role) if role in HTTP_ENDPOINTS else heartbeat_problem(role)
    print(problem or f"{role}: healthy")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
