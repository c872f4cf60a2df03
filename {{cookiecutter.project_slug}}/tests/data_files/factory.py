"""Storages, files and tests of files to test with."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app.accounts.models import User
from app.configuration import load
from app.data_files.models import DataFile, TestRun
from app.database import now
from app.storage import Storage, storage_of
from tests.environments import basic_environment
from tests.servers import free_port

FILES, TESTS = "/api/v1/data-files", "/api/v1/tests"
CSV = b"id,name,born\n1,Ann,1990-05-01\n2,Bob,\n"


def make_storage(url: str, **settings: str) -> Storage:
    """A storage at an address: `file:///folder`, or `s3://bucket` with the settings of its server."""
    return Storage(url, load(basic_environment(STORAGE_URL=url, **settings)))


def folder_storage(folder: Path) -> Storage:
    """A storage in a folder."""
    return make_storage(folder.as_uri())


def make_file(app: Flask, session: Session, user: User, content: bytes = CSV, name: str = "people.csv") -> DataFile:
    """A file of a user's, with its object in the app's storage."""
    key = f"data-files/{user.id}/{uuid.uuid4().hex}"
    storage_of(app).put(key, content)
    media_type = "text/csv" if name.endswith(".csv") else "application/json"
    file = DataFile(user_id=user.id, name=name, media_type=media_type, storage_key=key)
    file.size, file.sha256 = len(content), "0" * 64
    session.add(file)
    session.commit()
    return file


def make_run(session: Session, file: DataFile, *, silent_for: timedelta = timedelta(), **fields: Any) -> TestRun:
    """A test of a file that waits, unless other fields are given; the last sign of it is so old."""
    run = TestRun(user_id=file.user_id, data_file_id=file.id, file_name=file.name, seen_at=now() - silent_for, **fields)
    session.add(run)
    session.commit()
    return run


def upload(
    client: FlaskClient, headers: dict[str, str], content: bytes = CSV, name: str = "people.csv", **fields: Any
) -> TestResponse:
    """Send a file as a browser's form would."""
    # Encoded here, since the client would leave a large form's temporary file open.
    boundary, body = encode_multipart({"file": FileStorage(io.BytesIO(content), name), **fields})
    return client.post(FILES, data=body, headers=headers, content_type=f"multipart/form-data; boundary={boundary}")


def unreachable_storage() -> Storage:
    """A storage whose server is not there."""
    keys = {"S3_ACCESS_KEY_ID": "id", "S3_SECRET_ACCESS_KEY": "secret"}
    return make_storage("s3://files", S3_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}", **keys)
