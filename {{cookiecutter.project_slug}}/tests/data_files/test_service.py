"""Objects and rows belong together, whatever fails between them."""

from __future__ import annotations

import hashlib
import io
import os
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import statistics
from app.accounts.models import User
from app.audit.models import AuditLog
from app.audit.service import Origin
from app.data_files import forget, service
from app.data_files.models import DataFile
from app.data_files.tasks import drop_orphans
from app.database import db
from app.personal_data import holdings_of
from app.storage import PART_BYTES, Storage, StorageUnavailable
from tests.data_files.factory import CSV, make_file, make_run, unreachable_storage

pytestmark = pytest.mark.usefixtures("storage")

ORIGIN = Origin("192.0.2.1", "a-request")
DAY = 86_400


def add(session: Session, storage: Storage, user_id: int, content: bytes = CSV, name: str = "people.csv") -> DataFile:
    return service.add(session, storage, user_id, name=name, stream=io.BytesIO(content), origin=ORIGIN)


def objects(storage: Storage) -> list[str]:
    return sorted(storage.keys(service.FOLDER))


def make_old(storage: Storage, key: str, seconds: float = DAY + 60) -> None:
    then = time.time() - seconds
    os.utime(Path(storage._folder or "") / key, (then, then))


@pytest.mark.parametrize("size", [1, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 1])
@pytest.mark.req("A4")
def test_a_file_is_kept_with_its_size_and_checksum(session: Session, storage: Storage, user: User, size: int) -> None:
    content = b"x" * size

    file = add(session, storage, user.id, content)

    assert (file.size, file.sha256) == (size, hashlib.sha256(content).hexdigest())
    with storage.open(file.storage_key) as kept:
        assert kept.read() == content


@pytest.mark.req("A4")
def test_a_row_that_fails_takes_its_object_along(session: Session, storage: Storage) -> None:
    with pytest.raises(service.OwnerGone):
        add(session, storage, user_id=2**40)

    assert objects(storage) == []


@pytest.mark.req("A4")
def test_an_object_that_fails_leaves_no_row(session: Session, user: User) -> None:
    gone = unreachable_storage()

    with pytest.raises(StorageUnavailable):
        add(session, gone, user.id)

    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 0


@pytest.mark.req("A4")
def test_a_file_can_be_deleted_while_the_storage_is_away(session: Session, storage: Storage, user: User) -> None:
    file = add(session, storage, user.id)
    gone = unreachable_storage()

    assert service.delete(session, gone, user.id, file.id, ORIGIN)
    assert not service.delete(session, gone, user.id, file.id, ORIGIN)


@pytest.mark.req("P4", "A4")
def test_adding_and_deleting_are_told_to_the_auditor(
    session: Session, storage: Storage, user: User, audited: Callable[[], Sequence[AuditLog]]
) -> None:
    file = add(session, storage, user.id)
    file_id, details = file.id, {"size": file.size, "sha256": file.sha256}
    service.delete(session, storage, user.id, file.id, ORIGIN)

    told = [(row.action, row.actor_id, row.target_type, row.target_id, row.details, row.address) for row in audited()]

    assert told == [
        (action, user.id, "data_file", str(file_id), details, "192.0.2.1")
        for action in ("data_file.added", "data_file.deleted")
    ]


@pytest.mark.req("D7")
def test_objects_that_no_row_leads_to_are_dropped_when_they_are_old(
    app: Flask, session: Session, storage: Storage, user: User
) -> None:
    kept = make_file(app, session, user).storage_key
    old, young, other = f"data-files/7/{uuid.uuid4().hex}", f"data-files/7/{uuid.uuid4().hex}", "erasures/1"
    for key in (old, young, other):
        storage.put(key, b"content")
    for key in (kept, old, other):
        make_old(storage, key)

    with app.app_context():
        for _ in range(2):
            drop_orphans()

    assert objects(storage) == sorted([kept, young])
    assert storage.exists(other)


@pytest.mark.req("D7")
def test_more_orphans_than_fit_a_batch_are_dropped(
    session: Session, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 3)
    for number in range(10):
        storage.put(f"data-files/7/{number}", b"content")
        make_old(storage, f"data-files/7/{number}")

    assert service.drop_orphans(session, storage) == 10
    assert objects(storage) == []


@pytest.mark.req("P3")
def test_an_erased_user_s_files_go_when_the_erasure_is_committed(
    app: Flask, session: Session, storage: Storage, user: User, other_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[str]] = []
    monkeypatch.setattr("app.data_files.tasks.drop_objects.send_if_possible", sent.append)
    mine = {make_file(app, session, user).storage_key for _ in range(2)}
    theirs = make_file(app, session, other_user).storage_key

    with app.app_context():
        forget(db.session(), user.id)
        db.session().execute(sa.delete(User).where(User.id == user.id))
        before = list(sent)
        db.session().commit()
        (keys,) = sent
        dropped = service.drop_objects(db.session(), storage, [*keys, theirs])

    assert before == []
    assert set(keys) == mine
    assert dropped == 2
    assert objects(storage) == [theirs]


@pytest.mark.req("P3")
def test_an_erasure_that_is_taken_back_costs_no_file(
    app: Flask, session: Session, storage: Storage, user: User
) -> None:
    key = make_file(app, session, user).storage_key

    with app.app_context():
        forget(db.session(), user.id)
        db.session().rollback()
        db.session().commit()
        service.drop_objects(db.session(), storage, [key])

    assert objects(storage) == [key]


@pytest.mark.req("P3")
def test_an_export_tells_of_files_and_tests(app: Flask, session: Session, user: User, other_user: User) -> None:
    file = make_file(app, session, user)
    run = make_run(session, file)
    make_run(session, make_file(app, session, other_user))

    told = holdings_of(app)["data_files"].tell(session, user.id)

    assert told.keys() == {"data_files", "test_history"} == set(holdings_of(app)["data_files"].tables)
    assert [row["id"] for row in told["data_files"]] == [file.id]
    assert [row["id"] for row in told["test_history"]] == [run.id]
    assert "storage_key" not in told["data_files"][0]


@pytest.mark.req("A5")
def test_the_statistics_count_files_bytes_and_tests(app: Flask, session: Session, user: User) -> None:
    empty = statistics.statistics_of(app, session)["data_files"]
    file = make_file(app, session, user)
    make_file(app, session, user, b"12345")
    make_run(session, file, status="failed")

    counted = statistics.statistics_of(app, session)["data_files"]

    assert empty == {"files": 0, "bytes": 0, "tests": {"pending": 0, "running": 0, "passed": 0, "failed": 0}}
    assert counted == {
        "files": 2,
        "bytes": len(CSV) + 5,
        "tests": {"pending": 0, "running": 0, "passed": 0, "failed": 1},
    }
