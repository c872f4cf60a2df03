#!/usr/bin/env python3
"""Migrate, seed and verify the database: the same as `flask init-db`."""

from __future__ import annotations

import sys
from pathlib import Path

from flask.cli import FlaskGroup

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.platform.settings.fields import SettingsError
from app.platform.tasks.celery import get_flask_app

if __name__ == "__main__":
    try:
        FlaskGroup(create_app=get_flask_app).main(["init-db"])
    except SettingsError as error:
        sys.exit(str(error))
