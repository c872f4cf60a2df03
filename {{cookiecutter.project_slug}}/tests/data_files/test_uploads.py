"""Uploads through the API: what is taken in, and what leaves no trace."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from app.accounts.models import User
from app.data_files import forms
from app.data_files.models import DataFile
from app.database import db, now
from app.settings import settings_of
from app.storage import Storage
from tests.api_keys.factory import with_key
from tests.data_files.factory import CSV, FILES, unreachable_storage, upload

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]


def assert_nothing_is_kept(session: Session, storage: Storage) -> None:
    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 0
    assert list(storage.entries("data-files/")) == []


def test_a_file_is_kept(client: FlaskClient, storage: Storage, session: Session, headers: dict[str, str]) -> None:
    answer = upload(client, headers, CSV, "../people.csv")

    body = answer.get_json()
    file = session.scalars(sa.select(DataFile)).one()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{FILES}/{file.id}"
    assert abs((datetime.fromisoformat(body.pop("created_at")) - now()).total_seconds()) < 60
    assert body == {
        "id": file.id,
        "name": "people.csv",
        "media_type": "text/csv",
        "size": len(CSV),
        "sha256": hashlib.sha256(CSV).hexdigest(),
    }
    with storage.open(file.storage_key) as kept:
        assert kept.read() == CSV


def test_a_large_file_is_kept(client: FlaskClient, headers: dict[str, str]) -> None:
    content = b"id,name\n" + b"1,Ann\n" * 2_000_000

    body = upload(client, headers, content).get_json()

    assert (body["size"], body["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_what_the_sender_says_of_the_type_counts_for_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    form = {"file": (io.BytesIO(b'{"a": 1}'), "a.json", "text/html")}

    answer = client.post(FILES, data=form, headers=headers, content_type="multipart/form-data")

    assert answer.get_json()["media_type"] == "application/json"


def test_the_location_is_one_of_the_version_that_was_called(client: FlaskClient, headers: dict[str, str]) -> None:
    form = {"file": (io.BytesIO(CSV), "a.csv")}

    answer = client.post("/api/v2/data-files", data=form, headers=headers, content_type="multipart/form-data")

    assert answer.headers["Location"] == f"/api/v2/data-files/{answer.get_json()['id']}"
    assert client.get(answer.headers["Location"], headers=headers).status_code == 200


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"content": b""}, 422, "Must not be empty."),
    ({"name": ".."}, 422, "Must have a name."),
    ({"name": "a\u202evsc.csv"}, 422, "Must have a name without control and invisible characters."),
    ({"name": "x" * 300}, 422, "Must have a name of at most 255 characters."),
    ({"content": b"\x89PNG\r\n\x1a\n\x00"}, 415, "The file is not UTF-8 text."),
    ({"content": "a,b\n".encode("utf-16-le")}, 415, "The file is not text: it holds control characters."),
    ({"content": CSV, "name": "a.json"}, 415, "The name ends in .json, and the content is something else."),
    ({"content": b"<script>", "name": "a.html"}, 415, "Files that end in .html are not taken in."),
]


@pytest.mark.parametrize(("sent", "status", "text"), REFUSED, ids=lambda value: str(value)[:40])
@pytest.mark.req("A6", "S11")
def test_what_cannot_be_tested_is_refused_and_leaves_nothing(
    client: FlaskClient, session: Session, storage: Storage, headers: dict[str, str], sent: Any, status: int, text: str
) -> None:
    answer = upload(client, headers, **sent)

    body = answer.get_json()
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert list(body["errors"]) == ["file"]
    assert body["errors"]["file"][0].startswith(text)
    assert_nothing_is_kept(session, storage)


BOUNDARY = "the-boundary"
FORM = {"content_type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    return b"".join(b"--the-boundary\r\n" + part + b"\r\n" for part in parts) + b"--the-boundary" + end


def part(name: str, content: bytes = CSV, filename: str | None = "a.csv") -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content


BAD_FORMS: list[tuple[bytes, dict[str, str], int, set[str]]] = [
    (b"", {}, 415, set()),
    (b"{}", {"content_type": "application/json"}, 415, set()),
    (b"file=a", {"content_type": "application/x-www-form-urlencoded"}, 415, set()),
    (b"", FORM, 422, {"file"}),
    (b"rubbish", FORM, 400, set()),
    (CSV, {"content_type": "multipart/form-data"}, 400, set()),
    (CSV, {"content_type": "multipart/form-data; boundary=\u00e9"}, 400, set()),
    (form(), FORM, 422, {"file"}),
    (form(part("file"), end=b""), FORM, 400, set()),  # cut off before its end
    (form(part("file"))[:-40], FORM, 400, set()),
    (form(part("file", filename=None)), FORM, 422, {"file"}),
    (form(part("file", filename="")), FORM, 422, {"file"}),
    (form(part("other")), FORM, 422, {"file", "other"}),
    (form(part("file"), part("other")), FORM, 422, {"other"}),
    (form(part("file"), part("user_id", b"1", filename=None)), FORM, 422, {"user_id"}),
    (form(part("file"), part("file")), FORM, 422, {"file"}),
    (form(part("file"), part("file", filename=None)), FORM, 422, {"file"}),
    (form(*[part(f"f{n}") for n in range(11)]), FORM, 413, set()),
    (form(part("file"), part("text", b"x" * 300_000, filename=None)), FORM, 413, set()),
]


def name_of(value: object) -> str:
    """Short, and the same in every process, which the order of a set is not."""
    return str(sorted(value) if isinstance(value, set) else value)[:30]


@pytest.mark.parametrize(("body", "options", "status", "fields"), BAD_FORMS, ids=name_of)
@pytest.mark.req("A6", "S11")
def test_a_form_that_does_not_fit_is_refused(
    client: FlaskClient,
    session: Session,
    storage: Storage,
    headers: dict[str, str],
    body: bytes,
    options: dict[str, Any],
    status: int,
    fields: set[str],
) -> None:
    answer = client.post(FILES, data=body, headers=headers, **options)

    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert set(answer.get_json().get("errors", {})) == fields
    assert_nothing_is_kept(session, storage)


@pytest.fixture
def _small_files(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take in files of up to 2000 bytes."""
    monkeypatch.setitem(app.extensions, "settings", replace(settings_of(app), UPLOAD_MAX_BYTES=2000))


@pytest.mark.usefixtures("_small_files")
@pytest.mark.parametrize(("size", "status"), [(2000, 201), (2001, 413), (2000 + forms.FORM_BYTES, 413), (10**6, 413)])
@pytest.mark.req("S10", "S11")
def test_a_file_that_is_too_large_is_refused(
    client: FlaskClient, headers: dict[str, str], size: int, status: int
) -> None:
    answer = upload(client, headers, b"x" * size, "a.csv")

    assert answer.status_code == status
    assert status == 201 or answer.get_json()["message"] == "The file is too large: at most 2000 bytes are taken in."


@pytest.mark.req("S10")
def test_only_files_may_be_larger_than_other_bodies(client: FlaskClient, headers: dict[str, str]) -> None:
    content = b"x\n" * 1_000_000

    file = upload(client, headers, content)
    other = client.patch("/api/v1/users/me", data=content, headers={**headers, "Content-Type": "application/json"})

    assert (file.status_code, other.status_code) == (201, 413)


@pytest.mark.req("S11")
def test_a_storage_that_is_away_is_told_of_and_leaves_no_row(
    app: Flask, client: FlaskClient, session: Session, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = unreachable_storage()
    monkeypatch.setitem(app.extensions, "storage", gone)

    answer = upload(client, headers)

    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "5"
    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 0


@pytest.mark.req("S11")
def test_no_room_for_a_form_is_told_of(
    client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.data_files.forms.SpooledTemporaryFile", full)

    answer = upload(client, headers, b"x" * 600_000)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.req("S5")
def test_a_form_holds_no_connection_while_it_is_read(
    app: Flask, client: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = with_key(session, user, "files:write")  # which is looked up in the database
    upload(client, key)  # the use of it is noted once in a while
    session.rollback()
    with app.app_context():
        pool: Any = db.engine.pool
    in_use: list[int] = []

    def look(file: FileStorage) -> int:
        in_use.append(pool.checkedout())
        return size(file)

    size: Callable[[FileStorage], int] = forms._size
    monkeypatch.setattr(forms, "_size", look)

    answer = upload(client, key)

    assert answer.status_code == 201
    assert in_use == [0]


@pytest.mark.req("A2")
def test_who_is_not_signed_in_uploads_nothing(client: FlaskClient, session: Session, storage: Storage) -> None:
    assert upload(client, {}).status_code == 401
    assert_nothing_is_kept(session, storage)


@pytest.mark.parametrize(("scope", "status"), [("files:write", 201), ("files:read", 403), ("locations:write", 403)])
@pytest.mark.req("A2")
def test_a_key_uploads_if_it_is_for_that(
    client: FlaskClient, session: Session, user: User, scope: str, status: int
) -> None:
    assert upload(client, with_key(session, user, scope)).status_code == status


@pytest.mark.req("A8")
def test_uploads_have_the_limit_of_making_things(client: FlaskClient, headers: dict[str, str]) -> None:
    assert upload(client, headers).headers["RateLimit-Limit"] == "50"
