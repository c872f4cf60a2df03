"""Uploads and tests of files that are repeated with their idempotency key."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile, TestRun
from app.platform.api.idempotency import IdempotencyStore
from app.platform.components import platform_of
from app.platform.operations.storage_owner import require_ownership
from app.platform.storage import Storage
from tests.conftest import ReplaceComponent
from tests.idempotency.repetitions import Send, assert_replayed, count
from tests.samples import create_object

pytestmark = pytest.mark.req("A9")


def upload(content: bytes = b"a,b\n1,2\n", name: str = "a.csv") -> dict[str, Any]:
    return {"data": {"file": (BytesIO(content), name)}, "path": "/api/v1/data-files"}


def test_repeated_upload_stores_one_file(session: Session, post_with_key: Send, storage: Storage) -> None:
    first, second = post_with_key(**upload()), post_with_key(**upload())

    assert_replayed(first, second)
    assert first.headers["Location"]
    assert count(session, DataFile) == 1
    assert len(list(storage.list_keys("data-files/"))) == 1


@pytest.mark.parametrize("other", [upload(b"a,b\n1,3\n"), upload(name="b.csv")], ids=["content", "name"])
def test_key_of_another_upload_is_rejected(post_with_key: Send, storage: Storage, other: dict[str, Any]) -> None:
    post_with_key(**upload())

    response = post_with_key(**other)

    assert response.get_json()["type"] == "/problems/idempotency-key-reused"


def test_repeated_request_starts_one_test(app: Flask, session: Session, user: User, post_with_key: Send) -> None:
    file_id = create_object(app, session, user, "file_id")
    request = {"json": {}, "path": f"/api/v1/data-files/{file_id}/tests"}

    first, second = post_with_key(**request), post_with_key(**request)

    assert first.status_code == 202
    assert_replayed(first, second)
    assert count(session, TestRun) == 1
    if app.extensions["celery"].conf.task_always_eager:  # the task began after the commit, and found the test
        assert session.scalars(sa.select(TestRun.attempts)).one() == 1


def test_storage_keeps_its_owner_after_a_failed_upload(
    app: Flask, session: Session, post_with_key: Send, storage: Storage, replace_component: ReplaceComponent
) -> None:
    store = platform_of(app).get(IdempotencyStore)

    def fail(*_: object) -> None:
        raise RuntimeError("after the effect")

    replace_component(IdempotencyStore(store.find, fail))
    failed = post_with_key(**upload())
    replace_component(store)

    assert failed.status_code == 500
    assert count(session, DataFile) == 0
    require_ownership(session, storage)  # raises if the database has lost the id that the storage has
    assert post_with_key(**upload()).status_code == 201
