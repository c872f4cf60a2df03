"""Background tasks of encryption keys."""

from __future__ import annotations

import logging
import time

from celery import shared_task
from flask import current_app
from prometheus_client import Gauge

from app.encryption_keys import service
from app.encryption_keys.settings import EncryptionKeysSettings
from app.platform.database.base import db
from app.platform.settings.declarations import settings_of
from app.platform.telemetry.logging import context_value
from app.platform.web.client_address import RequestOrigin

logger = logging.getLogger(__name__)

WEEK_SECONDS = 604_800.0
TIME_SHARE = 0.5  # of a task's time limit, after which a new task continues

KEY_AGE = Gauge(
    "encryption_key_age_days", "Days since the current key first encrypted a value", multiprocess_mode="mostrecent"
)


@shared_task(name="encryption_keys.check")
def check_keys() -> None:
    """Warn when a new key is due, and start the re-encryption of values under earlier keys."""
    session, due = db.session(), settings_of(current_app, EncryptionKeysSettings).ENCRYPTION_KEY_DAYS
    age = service.age_in_days(service.record_current_key(session))
    KEY_AGE.set(age)
    if age >= due:
        logger.warning("the encryption key is %s days old; a new key has been due since day %s", age, due)
    if outdated := service.count_outdated(session):
        logger.warning("%s values are not under the current encryption key; they are re-encrypted", outdated)
        reencrypt.try_delay()


@shared_task(name="encryption_keys.reencrypt")
def reencrypt() -> None:
    """Re-encrypt values under the current key; if that takes long, a new task continues."""
    deadline = time.monotonic() + settings_of(current_app).TASK_TIME_LIMIT_SECONDS * TIME_SHARE
    for progress in service.reencrypt(db.session(), RequestOrigin(None, context_value("request_id"))):
        logger.info("re-encrypted", extra={"column": progress.column, "values": progress.reencrypted})
        if time.monotonic() > deadline:
            reencrypt.try_delay()
            return
