"""Quotas of a user: the total size of files, and the number of unfinished tests."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files import runs, service
from app.data_files.models import DataFile, TestRun
from app.data_files.settings import DataFilesSettings
from app.platform.database.base import db
from app.platform.storage import Storage
from app.platform.web.client_address import RequestOrigin
from tests.accounts.factory import bearer
from tests.conftest import ReplaceComponent
from tests.data_files.factory import CSV, FILES, make_file, make_run, upload

pytestmark = [pytest.mark.usefixtures("storage"), pytest.mark.req("S13")]

ORIGIN = RequestOrigin("192.0.2.1", "a-request")


class Usage(NamedTuple):
    """Return value of `shutil.disk_usage`."""

    total: int
    used: int
    free: int


@pytest.mark.fault("F32")
def test_upload_beyond_the_quota_is_rejected_with_what_is_left(
    client: FlaskClient,
    session: Session,
    storage: Storage,
    headers: dict[str, str],
    replace_component: ReplaceComponent,
) -> None:
    replace_component(DataFilesSettings(MAX_STORAGE_BYTES_PER_USER=100_000))

    first, second = (upload(client, headers, b"x" * 60_000) for _ in range(2))
    exact = upload(client, headers, b"x" * 40_000)
    full = upload(client, headers, b"x")

    assert [response.status_code for response in (first, second, exact, full)] == [201, 413, 201, 413]
    assert second.content_type == "application/problem+json"
    assert second.get_json()["errors"] == {"file": ["Must have at most 40000 bytes."]}
    assert "0 bytes are left" in full.get_json()["message"]
    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 2
    assert len(list(storage.list_keys(service.FOLDER))) == 2


@pytest.mark.fault("F32")
def test_deleting_a_file_makes_room(
    client: FlaskClient, headers: dict[str, str], replace_component: ReplaceComponent
) -> None:
    replace_component(DataFilesSettings(MAX_STORAGE_BYTES_PER_USER=2000))
    file = upload(client, headers, b"x" * 2000)
    rejected = upload(client, headers, b"x")

    client.delete(file.headers["Location"], headers=headers)

    assert rejected.status_code == 413
    assert upload(client, headers, b"x").status_code == 201


@pytest.mark.fault("F32")
def test_quota_counts_only_files_of_the_user(
    app: Flask, client: FlaskClient, session: Session, other_user: User, headers: dict[str, str],
    replace_component: ReplaceComponent,
) -> None:  # fmt: skip
    replace_component(DataFilesSettings(MAX_STORAGE_BYTES_PER_USER=2000))
    make_file(app, session, other_user, b"x" * 2000)

    assert upload(client, headers, b"x" * 2000).status_code == 201


class UnreadableBody(io.BytesIO):
    """A body that must not be read."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.fault("F5", "F32")
def test_upload_that_cannot_fit_is_rejected_unread(
    client: FlaskClient, headers: dict[str, str], replace_component: ReplaceComponent, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_component(DataFilesSettings(MAX_STORAGE_BYTES_PER_USER=1_000_000))

    def send(length: int) -> int:
        form = {"CONTENT_TYPE": "multipart/form-data; boundary=b", "CONTENT_LENGTH": str(length)}
        response = client.post(FILES, headers=headers, input_stream=UnreadableBody(), environ_overrides=form)
        return response.status_code

    over_quota = send(1_100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 100, 0))
    disk_full = send(1000)

    assert (over_quota, disk_full) == (413, 503)


def together(app: Flask, number: int, action: Callable[[Session], object]) -> list[object]:
    """Run an action in several threads at once; return the results, or the types of the errors."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            pytest.skip("SQLite has no row locks")
    barrier = threading.Barrier(number)

    def run(_: int) -> object:
        with app.app_context(), Session(db.engine) as session:
            session.execute(sa.select(1))
            barrier.wait(60)
            try:
                return action(session)
            except (service.QuotaExceeded, runs.TooManyUnfinished) as error:
                return type(error)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.fault("F32")
def test_concurrent_uploads_stay_within_the_quota(app: Flask, session: Session, storage: Storage, user: User) -> None:
    user_id = user.id

    def add(own: Session) -> int:
        stream = io.BytesIO(b"x" * 60)
        return service.add(own, storage, user_id, name="a.csv", stream=stream, quota=100, origin=ORIGIN).size

    results = together(app, 4, add)

    assert sorted(map(str, results)) == sorted(map(str, [60, *[service.QuotaExceeded] * 3]))
    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 1
    assert len(list(storage.list_keys(service.FOLDER))) == 1


@pytest.mark.fault("F29")
def test_tests_beyond_the_bound_are_rejected_until_one_finishes(
    app: Flask, client: FlaskClient, session: Session, user: User, other_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.data_files.views.run_test.try_delay", lambda _: True)
    maximum = DataFilesSettings().MAX_UNFINISHED_TESTS_PER_USER
    file, other_file = make_file(app, session, user), make_file(app, session, other_user)
    pending = [make_run(session, file, status=("pending", "running")[number % 2]) for number in range(maximum)]
    make_run(session, file, status="passed")

    def start(owner: User, file: DataFile) -> tuple[int, str | None]:
        response = client.post(f"{FILES}/{file.id}/tests", json={}, headers=bearer(app, owner))
        return response.status_code, response.headers.get("Retry-After")

    rejected, other = start(user, file), start(other_user, other_file)
    pending[0].status = "failed"
    session.commit()

    assert rejected[0] == 429
    assert int(rejected[1] or 0) >= 1
    assert other[0] == 202
    assert start(user, file)[0] == 202
    assert start(user, file)[0] == 429


@pytest.mark.fault("F29")
def test_concurrent_tests_stay_within_the_bound(app: Flask, session: Session, user: User) -> None:
    file_id = make_file(app, session, user, CSV).id

    def start(own: Session) -> str:
        return runs.create(own, own.get_one(DataFile, file_id), ORIGIN, max_unfinished=2).status

    results = together(app, 6, start)

    assert results.count("pending") == 2
    assert results.count(runs.TooManyUnfinished) == 4
    assert session.scalar(sa.select(sa.func.count(TestRun.id))) == 2
