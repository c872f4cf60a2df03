"""The service, with a route and a task that only a test needs: they call another service, and fail when told to."""

from __future__ import annotations

from typing import Any

import requests
import sqlalchemy as sa
from celery import shared_task
from flask import request

from app.database import db
from app.limits import limit, unlimited
from app.security.access import public
from app.worker import get_flask_app

app = get_flask_app()
celery = app.extensions["celery"]


@app.post("/calls")
@public("of a test")
@unlimited("of a test")
def calls() -> dict[str, Any]:
    """Have a task call the address in the body."""
    call.delay(**request.get_json())
    return {}


@app.post("/fails")
@public("of a test")
@limit("RATELIMIT_DEFAULT")
def fails() -> dict[str, Any]:
    """Fail in the way that a bug does."""
    given = request.get_json()
    raise RuntimeError(given["text"])


@shared_task(name="test.call")
def call(url: str, text: str = "") -> None:
    """Ask the database, then another service; fail if there is a text to fail with."""
    db.session.execute(sa.text("SELECT 1"))
    if text:
        raise RuntimeError(text)
    requests.get(url, timeout=5)
