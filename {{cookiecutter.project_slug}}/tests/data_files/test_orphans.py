"""Stored files without a row go through a quarantine, and nothing is removed on behalf of a wrong database."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files import orphans, service
from app.data_files.models import DataFile
from app.data_files.tasks import delete_orphans
from app.platform.database.base import utc_now
from app.platform.database.identity import DatabaseIdentity
from app.platform.operations.storage_owner import adopt
from app.platform.storage import Storage, StorageUnavailable
from tests.data_files.factory import make_file

pytestmark = [pytest.mark.req("D7"), pytest.mark.fault("F53")]

DAY = 86_400
RunJob = Callable[[], None]


@pytest.fixture
def owned_storage(session: Session, storage: Storage) -> Storage:
    """The app's storage, an empty folder that belongs to the database."""
    adopt(session, storage)
    return storage


@pytest.fixture
def run_job(app: Flask) -> RunJob:
    """Returns a function that runs the daily task."""

    def run() -> None:
        with app.app_context():
            delete_orphans()

    return run


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Returns a function that moves the clock of the job to this many days later."""

    def set_days(days: int) -> None:
        monkeypatch.setattr(orphans, "utc_now", lambda: utc_now() + timedelta(days=days))

    return set_days


def put_old(storage: Storage, *keys: str) -> None:
    """Store objects that are old enough to be orphans."""
    modified = time.time() - DAY - 60
    for key in keys:
        storage.put(key, key.encode())
        os.utime(Path(storage._folder or "") / key, (modified, modified))


def objects(storage: Storage, folder: str = service.FOLDER) -> list[str]:
    return sorted(storage.list_keys(folder))


def quarantined(storage: Storage) -> list[str]:
    """Return the original keys of the quarantined objects."""
    return [key.split("/", 2)[2] for key in objects(storage, orphans.QUARANTINE)]


def clean(session: Session, storage: Storage) -> orphans.Result:
    return orphans.clean(session, storage, days=7, max_share=0.1)


def errors(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    return (record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)


def test_old_objects_without_a_row_are_quarantined(
    app: Flask, session: Session, owned_storage: Storage, user: User, run_job: RunJob
) -> None:
    used = make_file(app, session, user).storage_key
    put_old(owned_storage, used, "data-files/7/old", "erasures/1")
    owned_storage.put("data-files/7/young", b"content")

    run_job()
    run_job()

    assert objects(owned_storage) == sorted([used, "data-files/7/young"])
    assert quarantined(owned_storage) == ["data-files/7/old"]
    assert owned_storage.exists("erasures/1")


def test_quarantined_objects_are_deleted_after_some_days(
    owned_storage: Storage, run_job: RunJob, later: Callable[[int], None]
) -> None:
    put_old(owned_storage, "data-files/7/a")
    run_job()
    later(6)
    run_job()
    after_six_days = quarantined(owned_storage)
    later(8)
    run_job()

    assert after_six_days == ["data-files/7/a"]
    assert objects(owned_storage, orphans.QUARANTINE) == objects(owned_storage) == []


def test_objects_whose_rows_are_restored_are_moved_back(
    app: Flask,
    session: Session,
    owned_storage: Storage,
    user: User,
    run_job: RunJob,
    later: Callable[[int], None],
) -> None:
    file = make_file(app, session, user)
    fields = {column.name: getattr(file, column.name) for column in DataFile.__table__.columns}
    put_old(owned_storage, file.storage_key)
    session.execute(sa.delete(DataFile))
    session.commit()
    run_job()
    missing = objects(owned_storage)

    session.execute(sa.insert(DataFile).values(fields))
    session.commit()
    later(30)
    run_job()

    assert missing == []
    assert objects(owned_storage) == [file.storage_key]
    assert owned_storage.open(file.storage_key).read() == file.storage_key.encode()


def test_job_of_another_database_removes_nothing(
    session: Session, owned_storage: Storage, run_job: RunJob, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [f"data-files/7/{number}" for number in range(53)]
    put_old(owned_storage, *keys)
    session.execute(sa.update(DatabaseIdentity).values(value="0" * 32))
    session.commit()

    run_job()

    assert objects(owned_storage) == sorted(keys)
    assert "belongs to another database" in next(errors(caplog))


def test_job_removes_nothing_from_a_storage_without_an_owner(
    session: Session, storage: Storage, run_job: RunJob, caplog: pytest.LogCaptureFixture
) -> None:
    put_old(storage, "data-files/7/a")

    run_job()

    assert objects(storage) == ["data-files/7/a"]
    assert "belongs to no database yet" in next(errors(caplog))


def test_many_orphans_are_kept_until_an_operator_says_so(
    app: Flask, session: Session, owned_storage: Storage, run_job: RunJob, caplog: pytest.LogCaptureFixture
) -> None:
    keys = sorted(f"data-files/7/{number}" for number in range(orphans.ALWAYS_ALLOWED + 1))
    put_old(owned_storage, *keys)

    run_job()
    kept = objects(owned_storage)
    refused = app.test_cli_runner().invoke(args=["orphans", "clean"])
    cleaned = app.test_cli_runner().invoke(args=["orphans", "clean", "--all"])

    assert kept == keys
    assert "11 of 11 stored files have no row in the database" in next(errors(caplog))
    assert (refused.exit_code, cleaned.exit_code) == (1, 0)
    assert "flask orphans clean --all" in refused.output
    assert cleaned.output == "stored files without a row: 11 quarantined, 0 moved back, 0 deleted\n"
    assert quarantined(owned_storage) == keys


def test_few_orphans_among_many_files_are_quarantined(
    session: Session, owned_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 3)
    monkeypatch.setattr(orphans, "BATCH", 3)
    monkeypatch.setattr(orphans, "ALWAYS_ALLOWED", 0)
    put_old(owned_storage, "data-files/7/a", "data-files/7/b")
    for number in range(18):
        owned_storage.put(f"data-files/7/young-{number}", b"content")

    result = clean(session, owned_storage)

    assert result == orphans.Result(quarantined=2, moved_back=0, deleted=0)
    assert quarantined(owned_storage) == ["data-files/7/a", "data-files/7/b"]


def test_one_run_quarantines_a_bounded_number(
    session: Session, owned_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "LIMIT", 4)
    put_old(owned_storage, *(f"data-files/7/{number}" for number in range(6)))

    first, second = clean(session, owned_storage), clean(session, owned_storage)

    assert (first.quarantined, second.quarantined) == (4, 2)


def test_objects_with_other_names_are_left_alone(session: Session, owned_storage: Storage) -> None:
    folder = Path(owned_storage._folder or "")
    names = ["quarantine/a", "quarantine/20261301/data-files/7/a", "quarantine/2020111/b", "quarantine/20200101"]
    put_old(owned_storage, *names)
    for name in ("data-files/5/a b", "quarantine/20200102/x y"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    put_old(owned_storage, "data-files/7/a")

    result = clean(session, owned_storage)

    assert result == orphans.Result(1, 0, 0)
    assert all((folder / name).exists() for name in names)


def test_quarantined_copy_never_replaces_a_file(
    app: Flask, session: Session, owned_storage: Storage, user: User
) -> None:
    key = make_file(app, session, user, b"the file").storage_key
    put_old(owned_storage, f"quarantine/20260101/{key}")

    result = clean(session, owned_storage)

    assert result == orphans.Result(0, 0, 1)
    assert owned_storage.open(key).read() == b"the file"


def test_few_orphans_a_day_are_not_accepted_every_day(
    session: Session, owned_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "ALWAYS_ALLOWED", 2)
    put_old(owned_storage, "data-files/7/a", "data-files/7/b")
    first = clean(session, owned_storage)
    put_old(owned_storage, "data-files/7/c")

    with pytest.raises(orphans.TooManyOrphans, match="3 of 3 stored files have no row"):
        clean(session, owned_storage)

    assert first.quarantined == 2


def test_command_says_that_the_storage_is_unavailable(
    app: Flask, owned_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(owned_storage, "list_objects", fail)

    result = app.test_cli_runner().invoke(args=["orphans", "clean"])

    assert (result.exit_code, result.output) == (1, "Error: The storage is unavailable. Try again later.\n")
