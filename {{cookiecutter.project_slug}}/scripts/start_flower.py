#!/usr/bin/env python3
"""Start Flower with its password, which is read like every setting: from the environment, a file or Vault."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.platform.settings.declarations import settings_of
from wsgi import app


def main() -> None:
    """Replace this process by Flower; exit if the password is not set."""
    settings = settings_of(app)
    if not settings.FLOWER_PASSWORD:
        sys.exit("FLOWER_PASSWORD: is not set: Flower shows task arguments and requires a password")
    # In the environment, because every user of the machine can read arguments.
    os.environ["FLOWER_BASIC_AUTH"] = f"flower:{settings.FLOWER_PASSWORD}"
    options = [f"--address={settings.BIND_ADDRESS}", f"--port={settings.FLOWER_PORT}", *sys.argv[1:]]
    os.execvp("celery", ["celery", "--app", "wsgi:celery", "flower", *options])  # noqa: S606, S607 - from PATH, without a shell


if __name__ == "__main__":
    main()
