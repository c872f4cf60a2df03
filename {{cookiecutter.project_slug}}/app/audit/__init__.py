"""Who did what to what, when, and from where."""

from __future__ import annotations

from flask import Flask

from app.audit import models  # noqa: F401 - so that Alembic sees the table


def init_app(app: Flask) -> None:
    """Nothing to serve yet: other features write here through `audit.service`."""
