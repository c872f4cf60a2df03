"""ETags of files and tests."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile, TestRun
from tests.samples import create_object

pytestmark = pytest.mark.req("A9")


@pytest.mark.parametrize(("parameter", "rule"), [("file_id", "/data-files/{}"), ("run_id", "/tests/{}")])
def test_unchanged_object_is_not_sent_again(
    app: Flask, client: FlaskClient, session: Session, user: User, headers: dict[str, str], parameter: str, rule: str
) -> None:
    path = f"/api/v1{rule.format(create_object(app, session, user, parameter))}"
    first = client.get(path, headers=headers)

    second = client.get(path, headers={**headers, "If-None-Match": first.headers["ETag"]})

    assert first.status_code == 200
    assert (second.status_code, second.data) == (304, b"")


def test_finished_test_has_another_etag(
    app: Flask, client: FlaskClient, session: Session, user: User, headers: dict[str, str]
) -> None:
    run_id = create_object(app, session, user, "run_id")
    etag = client.get(f"/api/v1/tests/{run_id}", headers=headers).headers["ETag"]
    session.get_one(TestRun, run_id).status = "failed"
    session.commit()

    response = client.get(f"/api/v1/tests/{run_id}", headers={**headers, "If-None-Match": etag})

    assert response.status_code == 200
    assert response.get_json()["status"] == "failed"


def test_deletion_compares_the_etag(client: FlaskClient, headers: dict[str, str], file: DataFile) -> None:
    path = f"/api/v1/data-files/{file.id}"
    etag = client.get(path, headers=headers).headers["ETag"]

    rejected = client.delete(path, headers={**headers, "If-Match": '"other"'})
    deleted = client.delete(path, headers={**headers, "If-Match": etag})

    assert (rejected.status_code, rejected.get_json()["type"]) == (412, "/problems/precondition-failed")
    assert deleted.status_code == 204
