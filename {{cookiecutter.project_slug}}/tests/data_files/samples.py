"""Samples of data files, for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile, TestRun
from app.platform.storage import storage_of
from tests.data_files.factory import make_file, make_run
from tests.unique_values import unique_number, unique_text, unique_time


def create_file(app: Flask, session: Session, user: User) -> int:
    """Create a file of the user with its content in the storage."""
    return make_file(app, session, user).id


def create_run(app: Flask, session: Session, user: User) -> int:
    """Create a test run of a new file of the user."""
    return make_run(session, make_file(app, session, user)).id


OBJECTS = {"file_id": create_file, "run_id": create_run}


SECRET_COLUMNS = frozenset({"data_files.storage_key"})  # not exported


def create_personal_data(app: Flask, session: Session, user: User) -> None:
    """Create a file with its content in the storage, and a test run, with every column filled."""
    key = f"data-files/{user.id}/{unique_text()}"
    storage_of(app).put(key, unique_text().encode())
    file = DataFile(
        user_id=user.id,
        name=unique_text(),
        media_type=unique_text(),
        size=unique_number(),
        sha256=unique_text(),
        storage_key=key,
        created_at=unique_time(),
    )
    session.add(file)
    session.flush()
    session.add(_test_run(file))


def _test_run(file: DataFile) -> TestRun:
    return TestRun(
        user_id=file.user_id,
        data_file_id=file.id,
        file_name=unique_text(),
        status="passed",
        report={"sample": unique_text()},
        attempts=unique_number(),
        created_at=unique_time(),
        started_at=unique_time(),
        seen_at=unique_time(),
        finished_at=unique_time(),
    )


PERSONAL_DATA = create_personal_data


# The table that each action of the audit log changes; empty: the entry records an event.
AUDIT_ACTIONS = {
    "data_file.added": "data_files",
    "data_file.deleted": "data_files",
    "test.started": "test_history",
}
