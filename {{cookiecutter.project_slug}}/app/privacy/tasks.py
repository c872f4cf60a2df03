"""Background tasks of privacy."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from flask import current_app

from app.platform.database.base import db, utc_now
from app.platform.security import sessions
from app.privacy import service
from app.privacy.commands import reapply_at_startup
from app.privacy.reapply import tombstones_of

logger = logging.getLogger(__name__)

MINUTE_SECONDS, HOUR_SECONDS = 60.0, 3600.0


@shared_task(name="privacy.sync_tombstones")
def sync_tombstones() -> None:
    """Repeat the steps of an erasure that may have failed after its commit.

    These steps revoke the sessions in Redis and write the tombstone to the storage.
    """
    time = utc_now() - timedelta(seconds=sessions.revocation_seconds())
    sessions.revoke(service.sessions_erased_since(db.session(), time))
    tombstones_of(current_app).write_missing(db.session())


@shared_task(name="privacy.reapply_erasures")
def reapply() -> None:
    """Erase again every erased user that a backup restored, and finish interrupted erasures."""
    logger.info(reapply_at_startup())
