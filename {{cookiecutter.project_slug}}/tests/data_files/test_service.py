"""Every row has its object, also after a failure between the two writes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import User
from app.audit.models import AuditLog
from app.data_files import erase, service
from app.data_files.models import DataFile
from app.platform import statistics
from app.platform.database.base import db
from app.platform.personal_data import personal_data_of
from app.platform.storage import PART_BYTES, Storage, StorageUnavailable
from app.platform.web.client_address import RequestOrigin
from tests.data_files.factory import CSV, make_file, make_run
from tests.platform.storage.factory import unreachable_storage

pytestmark = pytest.mark.usefixtures("storage")

ORIGIN = RequestOrigin("192.0.2.1", "a-request")


def add(
    session: Session, storage: Storage, user_id: int, content: bytes = CSV, name: str = "a.csv", quota: int = 10**9
) -> DataFile:
    return service.add(session, storage, user_id, name=name, stream=io.BytesIO(content), quota=quota, origin=ORIGIN)


def objects(storage: Storage) -> list[str]:
    return sorted(storage.list_keys(service.FOLDER))


@pytest.mark.parametrize("size", [1, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 1])
@pytest.mark.req("A4")
def test_file_is_stored_with_size_and_checksum(session: Session, storage: Storage, user: User, size: int) -> None:
    content = b"x" * size

    file = add(session, storage, user.id, content)

    assert (file.size, file.sha256) == (size, hashlib.sha256(content).hexdigest())
    with storage.open(file.storage_key) as stored:
        assert stored.read() == content


@pytest.mark.req("A4")
def test_failed_insert_deletes_the_object(session: Session, storage: Storage) -> None:
    with pytest.raises(service.OwnerDeleted):
        add(session, storage, user_id=2**40)

    assert objects(storage) == []


@pytest.mark.req("A4")
def test_failed_write_of_object_leaves_no_row(session: Session, user: User) -> None:
    unreachable = unreachable_storage()

    with pytest.raises(StorageUnavailable):
        add(session, unreachable, user.id)

    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 0


@pytest.mark.req("A4")
def test_file_can_be_deleted_during_storage_outage(session: Session, storage: Storage, user: User) -> None:
    file = add(session, storage, user.id)
    unreachable = unreachable_storage()

    assert service.delete(session, unreachable, user.id, file.id, ORIGIN)
    assert not service.delete(session, unreachable, user.id, file.id, ORIGIN)


@pytest.mark.req("P4", "A4")
def test_upload_and_deletion_are_audited(
    session: Session, storage: Storage, user: User, audit_entries: Callable[[], Sequence[AuditLog]]
) -> None:
    file = add(session, storage, user.id)
    file_id, details = file.id, {"size": file.size, "sha256": file.sha256}
    service.delete(session, storage, user.id, file.id, ORIGIN)

    entries = [
        (row.action, row.actor_id, row.target_type, row.target_id, row.details, row.address) for row in audit_entries()
    ]

    assert entries == [
        (action, user.id, "data_file", str(file_id), details, "192.0.2.1")
        for action in ("data_file.added", "data_file.deleted")
    ]


@pytest.mark.req("P3")
def test_erasure_deletes_content_after_commit(
    app: Flask, session: Session, storage: Storage, user: User, other_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[str]] = []
    monkeypatch.setattr("app.data_files.tasks.delete_objects.try_delay", sent.append)
    own_keys = {make_file(app, session, user).storage_key for _ in range(2)}
    other_key = make_file(app, session, other_user).storage_key

    with app.app_context():
        before = []
        for _ in erase(db.session(), user.id):
            before += sent
            db.session().commit()
        (keys,) = sent
        deleted = service.delete_objects(db.session(), storage, [*keys, other_key])

    assert before == []
    assert set(keys) == own_keys
    assert deleted == 2
    assert objects(storage) == [other_key]


@pytest.mark.req("P3")
def test_rolled_back_erasure_deletes_nothing(app: Flask, session: Session, storage: Storage, user: User) -> None:
    key = make_file(app, session, user).storage_key

    with app.app_context():
        next(erase(db.session(), user.id))
        db.session().rollback()
        db.session().commit()
        service.delete_objects(db.session(), storage, [key])

    assert objects(storage) == [key]


@pytest.mark.req("P3")
def test_export_lists_files_and_tests(app: Flask, session: Session, user: User, other_user: User) -> None:
    file = make_file(app, session, user)
    run = make_run(session, file)
    make_run(session, make_file(app, session, other_user))

    source = personal_data_of(app)["data_files"]
    exported = source.export(session, user.id)

    assert exported.keys() == {"data_files", "test_history"} == set(source.tables)
    assert [row["id"] for row in exported["data_files"]] == [file.id]
    assert [row["id"] for row in exported["test_history"]] == [run.id]
    assert "storage_key" not in exported["data_files"][0]


@pytest.mark.req("A5")
def test_statistics_count_files_bytes_and_tests(app: Flask, session: Session, user: User) -> None:
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


@pytest.mark.req("P3")
def test_upload_of_a_user_that_is_being_erased_stores_nothing(
    app: Flask, session: Session, storage: Storage, user: User
) -> None:
    with app.app_context():
        accounts.begin_erasure(session, user, actor_id=user.id, origin=ORIGIN)
        session.commit()

    with pytest.raises(service.OwnerDeleted):
        add(session, storage, user.id)

    assert objects(storage) == []


@pytest.mark.req("P3")
def test_erasure_without_a_broker_deletes_the_content_itself(
    app: Flask, session: Session, storage: Storage, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_file(app, session, user)
    monkeypatch.setattr("app.data_files.tasks.delete_objects.try_delay", lambda _: False)

    with app.app_context():
        for _ in erase(db.session(), user.id):
            db.session().commit()

    assert objects(storage) == []
