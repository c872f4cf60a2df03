"""Data files: uploads, and test runs on their content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from flask import Flask, current_app
from sqlalchemy.orm import Session

from app.data_files import commands, runs, service, tasks
from app.data_files.problem_types import PROBLEM_TYPES
from app.data_files.records import RECORDS
from app.data_files.settings import DataFilesSettings
from app.data_files.views import blueprint
from app.platform.database.base import db
from app.platform.feature import Feature
from app.platform.personal_data import PersonalDataSource
from app.platform.settings.declarations import settings_of
from app.platform.storage import StorageUnavailable, storage_of
from app.platform.tasks.celery import register_schedule


def _schedule_requeue(app: Flask) -> None:
    stale_seconds = settings_of(app, DataFilesSettings).TEST_RUN_STALE_SECONDS
    register_schedule(app, "data_files.requeue_stale", min(tasks.MAX_REQUEUE_INTERVAL, stale_seconds / 2))


def erase(session: Session, user_id: int) -> Iterator[None]:
    """Delete a user's files and tests in portions; yields after each. A task deletes the content after the commit.

    If the task is lost, the daily `delete_orphans` quarantines the content, and deletes it later.
    """
    for keys in service.delete_files(session, user_id):
        try:
            yield
        finally:  # after the commit, also if the caller stops here; content that still has a row stays
            _delete_content(keys)
    yield from runs.delete_all(session, user_id)


def _delete_content(keys: list[str]) -> None:
    """Delete objects without a row in a task, or here if no task can be sent."""
    if not tasks.delete_objects.try_delay(keys):
        with suppress(StorageUnavailable):
            service.delete_objects(db.session(), storage_of(current_app), keys)


FEATURE = Feature(
    name="data_files",
    blueprints=(blueprint,),
    settings=DataFilesSettings,
    problem_types=PROBLEM_TYPES,
    scopes=("files:read", "files:write"),
    schedules={"data_files.delete_orphans": tasks.ORPHANS_INTERVAL},
    personal_data=PersonalDataSource(("data_files", "test_history"), service.export, erase),
    records=RECORDS,
    statistics=service.count,
    commands=(commands.orphans_group,),
    init_app=_schedule_requeue,
)
