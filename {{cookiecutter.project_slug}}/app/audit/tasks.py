"""Background tasks of the audit log."""

from __future__ import annotations

import logging
import time

from celery import shared_task
from flask import current_app
from prometheus_client import Gauge

from app.audit import seals
from app.audit.commands import copy_of, delay_of, problems, signer_of
from app.audit.seal_copy import CopyMismatch
from app.audit.seals import UnconfirmedSeal
from app.audit.verification import OutOfTime, Verification
from app.platform.database.base import db
from app.platform.settings.declarations import settings_of
from app.platform.storage import StorageUnavailable

logger = logging.getLogger(__name__)

SEAL_SECONDS = 300.0
VERIFY_SECONDS = 86_400.0
TIME_SHARE = 0.5  # of a task's time limit, after which the next run continues
MAX_LINES = 20  # problems that are logged

PROBLEMS = Gauge(
    "audit_log_problems", "Problems that the last daily verification found", multiprocess_mode="mostrecent"
)


@shared_task(name="audit.seal")
def seal() -> None:
    """Seal the entries that are old enough, and copy the newest seal to the storage."""
    session = db.session()
    deadline = _deadline()
    try:
        for _ in seals.seal(session, signer_of(current_app), delay_of(current_app)):
            if time.monotonic() > deadline:
                break
        copy_of(current_app).update(session, replace=False)
    except (CopyMismatch, UnconfirmedSeal) as error:
        logger.error("the audit log may have been changed: %s Run flask audit-log verify.", error)  # noqa: TRY400 - the error's text is enough
    except StorageUnavailable:
        logger.warning("the newest seal of the audit log was not copied; the next run tries again")


@shared_task(name="audit.verify")
def verify() -> None:
    """Verify the audit log; problems are logged and counted, and an alert reports them."""
    session, signer = db.session(), signer_of(current_app)
    verification = Verification(session, signer, delay_of(current_app), deadline=_deadline())
    count = 0
    try:
        for problem in problems(verification):
            count += 1
            if count <= MAX_LINES:
                logger.error("problem of the audit log: %s", problem)
    except OutOfTime:
        logger.warning(
            "the audit log is too large to be verified in half of TASK_TIME_LIMIT_SECONDS: %s entries were verified. "
            "Run flask audit-log verify every day, for example from cron.",
            verification.entries,
        )
    PROBLEMS.set(count)


def _deadline() -> float:
    return time.monotonic() + settings_of(current_app).TASK_TIME_LIMIT_SECONDS * TIME_SHARE
