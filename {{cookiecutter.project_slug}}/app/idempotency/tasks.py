"""Background tasks of idempotency keys."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from flask import current_app

from app.idempotency import service
from app.idempotency.settings import IdempotencySettings
from app.platform.database.base import db
from app.platform.settings.declarations import settings_of

HOUR_SECONDS = 3600.0


@shared_task(name="idempotency.delete_expired")
def delete_expired() -> None:
    """Delete expired keys."""
    lifetime = timedelta(seconds=settings_of(current_app, IdempotencySettings).IDEMPOTENCY_KEY_SECONDS)
    service.delete_expired(db.session(), lifetime)
