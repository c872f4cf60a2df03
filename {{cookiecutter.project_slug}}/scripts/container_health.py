#!/usr/bin/env python3
"""Asks a container whether its role does its work: `container_health.py web|worker|beat|flower`; exit status 1 if not.

It is started every few seconds, so it imports little and nothing of the service.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ANSWER_SECONDS = 3
OK = 200
# A worker touches its file every two seconds, and beat its own when it has sent the heartbeat (HEARTBEAT_SECONDS).
OLDEST_SIGN_SECONDS = {"worker": 30, "beat": 90}
# The others listen: where, by default, and what they are asked.
LISTENERS = {"web": ("PORT", 8000, "/health"), "flower": ("FLOWER_PORT", 5555, "/healthcheck")}


def answer(role: str) -> str:
    """Say what is wrong with the answer of a role that listens; nothing when it is good."""
    variable, default, path = LISTENERS[role]
    connection = HTTPConnection("127.0.0.1", int(os.environ.get(variable) or default), timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{path}: {error!r}"
    return "" if status == OK else f"{path} answered {status}"


def sign(role: str) -> str:
    """Say what is wrong with the age of the file that a worker or beat touches; nothing when it is fresh."""
    try:
        age = time.time() - (Path(tempfile.gettempdir()) / f"{role}.alive").stat().st_mtime
    except FileNotFoundError:
        return f"the {role} has given no sign yet"
    oldest = OLDEST_SIGN_SECONDS[role]
    return "" if age <= oldest else f"the {role} gave its last sign {age:.0f} s ago; more than {oldest} are too many"


def main() -> int:
    """Print what is wrong, which `docker inspect` shows."""
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role not in {*LISTENERS, *OLDEST_SIGN_SECONDS}:
        print("say which role to ask: web, worker, beat or flower", file=sys.stderr)
        return 2
    complaint = answer(role) if role in LISTENERS else sign(role)
    print(complaint or f"{role}: good")
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
