"""Factories of files and test runs, and their uploads."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app.accounts.models import User
from app.data_files.models import DataFile, TestRun
from app.platform.database.base import utc_now
from app.platform.storage import storage_of

FILES, TESTS = "/api/v1/data-files", "/api/v1/tests"
CSV = b"id,name,born\n1,Ann,1990-05-01\n2,Bob,\n"


def make_file(app: Flask, session: Session, user: User, content: bytes = CSV, name: str = "people.csv") -> DataFile:
    """Create a file of a user, with its object in the app's storage."""
    key = f"data-files/{user.id}/{uuid.uuid4().hex}"
    storage_of(app).put(key, content)
    media_type = "text/csv" if name.endswith(".csv") else "application/json"
    file = DataFile(user_id=user.id, name=name, media_type=media_type, storage_key=key)
    file.size, file.sha256 = len(content), "0" * 64
    session.add(file)
    session.commit()
    return file


def make_run(session: Session, file: DataFile, *, idle: timedelta = timedelta(), **fields: Any) -> TestRun:
    """Create a test run, pending by default, whose last heartbeat is `idle` old."""
    run = TestRun(user_id=file.user_id, data_file_id=file.id, file_name=file.name, seen_at=utc_now() - idle, **fields)
    session.add(run)
    session.commit()
    return run


def upload(
    client: FlaskClient, headers: dict[str, str], content: bytes = CSV, name: str = "people.csv", **fields: Any
) -> TestResponse:
    """Upload a file as a browser's form does."""
    # Encoded here: the test client leaves the temporary file of a large form open.
    boundary, body = encode_multipart({"file": FileStorage(io.BytesIO(content), name), **fields})
    return client.post(FILES, data=body, headers=headers, content_type=f"multipart/form-data; boundary={boundary}")
