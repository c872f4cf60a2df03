"""Background work of privacy."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from celery import shared_task
from flask import current_app
from prometheus_client import Gauge

from app.audit.service import Origin
from app.database import db, now
from app.observability.logging import bound
from app.privacy import rotation, service, tombstones
from app.privacy.commands import reapply_erasures
from app.security import sessions
from app.settings import settings_of
from app.storage import storage_of

logger = logging.getLogger(__name__)

MINUTE_SECONDS, HOUR_SECONDS, WEEK_SECONDS = 60.0, 3600.0, 604_800.0

TIME_SHARE = 0.5  # of the time that a task has, after which another one goes on

KEY_AGE = Gauge(
    "encryption_key_age_days", "Days that the key in use has encrypted columns", multiprocess_mode="mostrecent"
)


@shared_task(name="privacy.check_keys")
def check_keys() -> None:
    """Warn when a new key is due, and begin to encrypt anew what is under an earlier one."""
    session, due = db.session(), settings_of(current_app).ENCRYPTION_KEY_DAYS
    age = rotation.age_in_days(rotation.note_key(session))
    KEY_AGE.set(age)
    if age >= due:
        logger.warning("the encryption key is %s days old, and a new one has been due after %s", age, due)
    if left := rotation.outdated(session):
        logger.warning("%s values are not under the encryption key in use; they are encrypted anew", left)
        reencrypt.send_if_possible()


@shared_task(name="privacy.reencrypt")
def reencrypt() -> None:
    """Bring encrypted columns under the key in use; when that takes long, another task goes on."""
    deadline = time.monotonic() + settings_of(current_app).TASK_TIME_LIMIT_SECONDS * TIME_SHARE
    for progress in rotation.reencrypt(db.session(), Origin(None, bound("request_id"))):
        logger.info("encrypted anew", extra={"column": progress.column, "values": progress.renewed})
        if time.monotonic() > deadline:
            reencrypt.send_if_possible()
            return


@shared_task(name="privacy.keep_tombstones")
def keep_tombstones() -> None:
    """Make up for what an erasure could not do: tell Redis, and put the tombstone into the storage."""
    recently = now() - timedelta(seconds=settings_of(current_app).ACCESS_TOKEN_SECONDS + 60)
    sessions.end(service.sessions_erased_since(db.session(), recently))
    tombstones.write_missing(db.session(), storage_of(current_app))


@shared_task(name="privacy.reapply_erasures")
def reapply() -> None:
    """Erase again whoever came back out of a backup."""
    logger.info(reapply_erasures())
