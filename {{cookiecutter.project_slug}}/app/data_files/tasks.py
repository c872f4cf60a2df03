"""Background work on files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from celery import shared_task
from flask import current_app

from app.data_files import runs, service
from app.database import db
from app.settings import settings_of
from app.storage import StorageUnavailable, storage_of

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
DAY_SECONDS = 86_400.0
SIGNS = 4  # so often within the time after which a run without one is given to another worker


@shared_task(name="data_files.run_test")
def run_test(run_id: int) -> None:
    """Test a file, unless that is done or under way; whatever fails here is tried again by `resend_stalled`."""
    patience = _patience()
    claim = runs.claim(db.session(), run_id, patience)
    if claim is None:
        return
    try:
        report = runs.run(storage_of(current_app), claim, _signs(claim, patience / SIGNS))
        runs.end(db.session(), claim, report)
    except runs.Superseded:
        logger.warning("test %d was given to another worker", run_id)


@shared_task(name="data_files.resend_stalled")
def resend_stalled() -> None:
    """Send tests again that nobody has given a sign of: their message was lost, or their worker died."""
    for run_id in runs.take_back(db.session(), _patience()):
        logger.warning("test %d is sent again", run_id)
        run_test.send_if_possible(run_id)


@shared_task(
    name="data_files.drop_objects",
    autoretry_for=(StorageUnavailable,),
    retry_backoff=5,
    retry_backoff_max=300,
    max_retries=8,
)
def drop_objects(keys: list[str]) -> None:
    """Delete the content of files that are gone from the database."""
    service.drop_objects(db.session(), storage_of(current_app), keys)


@shared_task(name="data_files.drop_orphans")
def drop_orphans() -> None:
    """Delete what uploads and deletions that died half-way have left in the storage."""
    service.drop_orphans(db.session(), storage_of(current_app))


def _patience() -> timedelta:
    return timedelta(seconds=settings_of(current_app).TEST_RUN_STALE_SECONDS)


def _signs(claim: runs.Claim, pause: timedelta) -> Callable[[], None]:
    """Gives a sign of a run, though not more often than once in the pause, however often it is called."""
    session, due = db.session(), time.monotonic()

    def sign() -> None:
        nonlocal due
        if time.monotonic() >= due:
            runs.give_sign(session, claim)
            due = time.monotonic() + pause.total_seconds()

    return sign
