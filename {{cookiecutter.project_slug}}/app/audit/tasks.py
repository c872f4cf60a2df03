"""Background tasks of the audit log."""

from __future__ import annotations

import logging
import time

from celery import shared_task
from flask import current_app

from app.audit import seals
from app.audit.commands import copy_of, delay_of, signer_of
from app.audit.seal_copy import CopyMismatch
from app.platform.database.base import db
from app.platform.settings.declarations import settings_of
from app.platform.storage import StorageUnavailable

logger = logging.getLogger(__name__)

SEAL_SECONDS = 300.0
TIME_SHARE = 0.5  # of a task's time limit, after which the next run continues


@shared_task(name="audit.seal")
def seal() -> None:
    """Seal the entries that are old enough, and copy the newest seal to the storage."""
    session = db.session()
    deadline = time.monotonic() + settings_of(current_app).TASK_TIME_LIMIT_SECONDS * TIME_SHARE
    for _ in seals.seal(session, signer_of(current_app), delay_of(current_app)):
        if time.monotonic() > deadline:
            break
    try:
        copy_of(current_app).update(session, replace=False)
    except CopyMismatch as error:
        logger.error("the audit log may have been changed: %s Run flask audit-log verify.", error)  # noqa: TRY400 - the error's text is enough
    except StorageUnavailable:
        logger.warning("the newest seal of the audit log was not copied; the next run tries again")
