"""Uploads through the API: accepted files, and rejected files, which leave no row and no object."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile
from app.data_files.settings import DataFilesSettings
from app.data_files.uploads import FORM_BYTES
from app.platform.database.base import db, utc_now
from app.platform.storage import Storage
from tests.conftest import ReplaceComponent, ScopedKey
from tests.data_files.factory import CSV, FILES, upload
from tests.platform.storage.factory import unreachable_storage

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]


SPOOLED_FILE = "werkzeug.formparser.SpooledTemporaryFile"


def assert_nothing_is_stored(session: Session, storage: Storage) -> None:
    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 0
    assert list(storage.list_objects("data-files/")) == []


def test_file_is_stored(client: FlaskClient, storage: Storage, session: Session, headers: dict[str, str]) -> None:
    response = upload(client, headers, CSV, "../people.csv")

    body = response.get_json()
    file = session.scalars(sa.select(DataFile)).one()
    assert response.status_code == 201
    assert response.headers["Location"] == f"{FILES}/{file.id}"
    assert abs((datetime.fromisoformat(body.pop("created_at")) - utc_now()).total_seconds()) < 60
    assert body == {
        "id": file.id,
        "name": "people.csv",
        "media_type": "text/csv",
        "size": len(CSV),
        "sha256": hashlib.sha256(CSV).hexdigest(),
    }
    with storage.open(file.storage_key) as stored:
        assert stored.read() == CSV


def test_large_file_is_stored(client: FlaskClient, headers: dict[str, str]) -> None:
    content = b"id,name\n" + b"1,Ann\n" * 2_000_000

    body = upload(client, headers, content).get_json()

    assert (body["size"], body["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_media_type_from_the_client_is_ignored(client: FlaskClient, headers: dict[str, str]) -> None:
    form = {"file": (io.BytesIO(b'{"a": 1}'), "a.json", "text/html")}

    response = client.post(FILES, data=form, headers=headers, content_type="multipart/form-data")

    assert response.get_json()["media_type"] == "application/json"


def test_location_has_the_requested_api_version(client: FlaskClient, headers: dict[str, str]) -> None:
    form = {"file": (io.BytesIO(CSV), "a.csv")}

    response = client.post("/api/v2/data-files", data=form, headers=headers, content_type="multipart/form-data")

    assert response.headers["Location"] == f"/api/v2/data-files/{response.get_json()['id']}"
    assert client.get(response.headers["Location"], headers=headers).status_code == 200


REJECTED: list[tuple[dict[str, Any], int, str]] = [
    ({"content": b""}, 422, "Must not be empty."),
    ({"name": ".."}, 422, "Must have a name."),
    ({"name": "a\u202evsc.csv"}, 422, "Must have a name without control and invisible characters."),
    ({"name": "x" * 300}, 422, "Must have a name of at most 255 characters."),
    ({"content": b"\x89PNG\r\n\x1a\n\x00"}, 415, "The file is not UTF-8 text."),
    ({"content": "a,b\n".encode("utf-16-le")}, 415, "The file is not text: it contains control characters."),
    ({"content": CSV, "name": "a.json"}, 415, "The name ends in .json, but the content is of another type."),
    ({"content": b"<script>", "name": "a.html"}, 415, "Files that end in .html are not accepted."),
]


@pytest.mark.parametrize(("sent", "status", "text"), REJECTED, ids=lambda value: str(value)[:40])
@pytest.mark.req("A6", "S11")
def test_invalid_file_is_rejected_and_leaves_nothing(
    client: FlaskClient, session: Session, storage: Storage, headers: dict[str, str], sent: Any, status: int, text: str
) -> None:
    response = upload(client, headers, **sent)

    body = response.get_json()
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert list(body["errors"]) == ["file"]
    assert body["errors"]["file"][0].startswith(text)
    assert_nothing_is_stored(session, storage)


BOUNDARY = "the-boundary"
FORM = {"content_type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    return b"".join(b"--the-boundary\r\n" + part + b"\r\n" for part in parts) + b"--the-boundary" + end


def part(name: str, content: bytes = CSV, filename: str | None = "a.csv") -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content


INVALID_FORMS: list[tuple[bytes, dict[str, str], int, set[str]]] = [
    (b"", {}, 415, set()),
    (b"{}", {"content_type": "application/json"}, 415, set()),
    (b"file=a", {"content_type": "application/x-www-form-urlencoded"}, 415, set()),
    (b"", FORM, 422, {"file"}),
    (b"rubbish", FORM, 400, set()),
    (CSV, {"content_type": "multipart/form-data"}, 400, set()),
    (CSV, {"content_type": "multipart/form-data; boundary=\u00e9"}, 400, set()),
    (form(), FORM, 422, {"file"}),
    (form(part("file"), end=b""), FORM, 400, set()),  # without its end
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
    """Return a short name; sets are sorted, because their order differs between processes."""
    return str(sorted(value) if isinstance(value, set) else value)[:30]


@pytest.mark.parametrize(("body", "options", "status", "fields"), INVALID_FORMS, ids=name_of)
@pytest.mark.req("A6", "S11")
def test_invalid_form_is_rejected(
    client: FlaskClient,
    session: Session,
    storage: Storage,
    headers: dict[str, str],
    body: bytes,
    options: dict[str, Any],
    status: int,
    fields: set[str],
) -> None:
    response = client.post(FILES, data=body, headers=headers, **options)

    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert set(response.get_json().get("errors", {})) == fields
    assert_nothing_is_stored(session, storage)


@pytest.mark.parametrize("parts", [[part(f"f{n}") for n in range(11)], [part("text", b"x" * 300_000, filename=None)]])
def test_form_with_too_much_besides_the_file_is_named(
    client: FlaskClient, headers: dict[str, str], parts: list[bytes]
) -> None:
    response = client.post(FILES, data=form(*parts), headers=headers, content_type=FORM["content_type"])

    assert response.status_code == 413
    message = "The form is too large: at most 10 parts, and 262144 bytes in a text field."
    assert response.get_json()["message"] == message


@pytest.fixture
def _small_limit(replace_component: ReplaceComponent) -> None:
    """Limit files to 2000 bytes."""
    replace_component(DataFilesSettings(UPLOAD_MAX_BYTES=2000))


@pytest.mark.usefixtures("_small_limit")
@pytest.mark.parametrize(("size", "status"), [(2000, 201), (2001, 413), (2000 + FORM_BYTES, 413), (10**6, 413)])
@pytest.mark.req("S10", "S11")
def test_too_large_file_is_rejected(client: FlaskClient, headers: dict[str, str], size: int, status: int) -> None:
    response = upload(client, headers, b"x" * size, "a.csv")

    assert response.status_code == status
    assert status == 201 or response.get_json()["message"] == "The file is too large: the limit is 2000 bytes."


@pytest.mark.req("S10")
def test_larger_limit_is_for_uploads_only(client: FlaskClient, headers: dict[str, str]) -> None:
    content = b"x\n" * 1_000_000

    file = upload(client, headers, content)
    other = client.patch("/api/v1/users/me", data=content, headers={**headers, "Content-Type": "application/json"})

    assert (file.status_code, other.status_code) == (201, 413)


@pytest.mark.req("S11")
def test_storage_outage_returns_503_and_leaves_no_row(
    client: FlaskClient, session: Session, headers: dict[str, str], replace_component: ReplaceComponent
) -> None:
    replace_component(unreachable_storage())

    response = upload(client, headers)

    assert (response.status_code, response.content_type) == (503, "application/problem+json")
    assert response.headers["Retry-After"] == "5"
    assert session.scalar(sa.select(sa.func.count(DataFile.id))) == 0


@pytest.mark.req("S11")
def test_full_disk_returns_503(client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SPOOLED_FILE, full)

    response = upload(client, headers, b"x" * 600_000)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.req("S5")
def test_reading_a_form_holds_no_database_connection(
    app: Flask,
    client: FlaskClient,
    session: Session,
    scoped_key: ScopedKey,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = scoped_key(user, "files:write")  # looked up in the database
    session.rollback()
    with app.app_context():
        pool: Any = db.engine.pool
    in_use: list[int] = []

    def open_file(*args: Any, **options: Any) -> IO[bytes]:
        in_use.append(pool.checkedout())
        return SpooledTemporaryFile(*args, **options)

    monkeypatch.setattr(SPOOLED_FILE, open_file)

    response = upload(client, key)

    assert response.status_code == 201
    assert in_use == [0]


@pytest.mark.parametrize(
    ("body", "status"),
    [(form(part("file", b"x\n" * 400_000)), 201), (form(part("file", b"x\n" * 400_000), end=b""), 400)],
    ids=["complete", "incomplete"],
)
@pytest.mark.req("S10")
def test_large_upload_is_spooled_to_disk_and_closed(
    client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch, body: bytes, status: int
) -> None:
    files: list[SpooledTemporaryFile[bytes]] = []

    class RecordedFile(SpooledTemporaryFile[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            files.append(self)

    monkeypatch.setattr(SPOOLED_FILE, RecordedFile)

    response = client.post(FILES, data=body, headers=headers, **FORM)

    assert response.status_code == status
    assert [(vars(file)["_rolled"], file.closed) for file in files] == [(True, True)]


@pytest.mark.req("A2")
def test_upload_without_login_is_rejected(client: FlaskClient, session: Session, storage: Storage) -> None:
    assert upload(client, {}).status_code == 401
    assert_nothing_is_stored(session, storage)


@pytest.mark.parametrize(("scope", "status"), [("files:write", 201), ("files:read", 403), ("other:write", 403)])
@pytest.mark.req("A2")
def test_api_key_needs_the_write_scope(
    client: FlaskClient, scoped_key: ScopedKey, user: User, scope: str, status: int
) -> None:
    assert upload(client, scoped_key(user, scope)).status_code == status


@pytest.mark.req("A8")
def test_uploads_have_the_rate_limit_of_creations(client: FlaskClient, headers: dict[str, str]) -> None:
    assert upload(client, headers).headers["RateLimit-Limit"] == "50"
