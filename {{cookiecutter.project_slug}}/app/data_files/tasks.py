"""Background tasks: tests of files, and the cleanup of the storage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from celery import shared_task
from flask import current_app

from app.data_files import orphans, runs, service
from app.data_files.settings import DataFilesSettings
from app.platform.database.base import db
from app.platform.operations.storage_owner import ForeignStorage, require_ownership
from app.platform.settings.declarations import settings_of
from app.platform.storage import StorageUnavailable, storage_of

logger = logging.getLogger(__name__)

MAX_REQUEUE_INTERVAL = 30.0  # seconds
ORPHANS_INTERVAL = 86_400.0  # seconds
HEARTBEATS = 4  # per TEST_RUN_STALE_SECONDS


@shared_task(name="data_files.run_test")
def run_test(run_id: int) -> None:
    """Test a file unless the run is finished or in progress; `requeue_stale` repeats a run that fails with an error."""
    stale_after = _stale_after()
    lease = runs.lease(db.session(), run_id, stale_after)
    if lease is None:
        return
    try:
        report = runs.run(storage_of(current_app), lease, _throttled_heartbeat(lease, stale_after / HEARTBEATS))
        runs.finish(db.session(), lease, report)
    except runs.LeaseLost:
        logger.warning("another worker took over test %d", run_id)


@shared_task(name="data_files.requeue_stale")
def requeue_stale() -> None:
    """Requeue tests without a recent heartbeat: their message was lost, or their worker died."""
    for run_id in runs.requeue_stale(db.session(), _stale_after()):
        logger.warning("test %d is requeued", run_id)
        run_test.try_delay(run_id)


@shared_task(
    name="data_files.delete_objects",
    autoretry_for=(StorageUnavailable,),
    retry_backoff=5,
    retry_backoff_max=300,
    max_retries=8,
)
def delete_objects(keys: list[str]) -> None:
    """Delete the content of files whose rows are deleted."""
    service.delete_objects(db.session(), storage_of(current_app), keys)


@shared_task(name="data_files.delete_orphans")
def delete_orphans() -> None:
    """Quarantine objects that interrupted uploads and deletions left in the storage; delete them some days later."""
    session, storage, settings = db.session(), storage_of(current_app), settings_of(current_app, DataFilesSettings)
    try:
        require_ownership(session, storage)
        share = settings.MAX_ORPHANS_PERCENT / 100
        orphans.clean(session, storage, days=settings.QUARANTINE_DAYS, max_share=share)
    except (ForeignStorage, orphans.TooManyOrphans) as error:
        logger.error("stored files without a row are kept: %s", error)  # noqa: TRY400 - the error's text is enough


def _stale_after() -> timedelta:
    return timedelta(seconds=settings_of(current_app, DataFilesSettings).TEST_RUN_STALE_SECONDS)


def _throttled_heartbeat(lease: runs.Lease, interval: timedelta) -> Callable[[], None]:
    """Return a function that records a heartbeat at most once per interval, however often it is called."""
    session, due = db.session(), time.monotonic()

    def heartbeat() -> None:
        nonlocal due
        if time.monotonic() >= due:
            runs.record_heartbeat(session, lease)
            due = time.monotonic() + interval.total_seconds()

    return heartbeat
