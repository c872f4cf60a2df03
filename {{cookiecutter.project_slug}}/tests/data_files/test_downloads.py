"""Downloads: whole files, ranges, and 304 for unchanged content."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile
from app.platform.storage import READ_BYTES, Storage
from tests.data_files.factory import CSV, FILES, make_file, upload

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]


@pytest.mark.req("S10")
def test_download_is_an_attachment(client: FlaskClient, headers: dict[str, str]) -> None:
    file = upload(client, headers, CSV, "people.csv").get_json()

    response = client.get(f"{FILES}/{file['id']}/content", headers=headers)

    assert (response.status_code, response.data) == (200, CSV)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(CSV))
    assert response.headers["Content-Disposition"] == (
        "attachment; filename=\"people.csv\"; filename*=UTF-8''people.csv"
    )
    assert response.headers["ETag"] == f'"{hashlib.sha256(CSV).hexdigest()}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"


DISPOSITIONS = [
    ('a"b\\c.csv', "filename=\"a_b_c.csv\"; filename*=UTF-8''a%22b%5Cc.csv"),
    ("naïve 統計.csv", "filename=\"na_ve __.csv\"; filename*=UTF-8''na%C3%AFve%20%E7%B5%B1%E8%A8%88.csv"),
    ("a;b='c'%41.csv", "filename=\"a;b='c'_41.csv\"; filename*=UTF-8''a%3Bb%3D%27c%27%2541.csv"),
]


@pytest.mark.parametrize(("name", "header"), DISPOSITIONS)
@pytest.mark.req("S10")
def test_content_disposition_escapes_the_file_name(
    app: Flask, client: FlaskClient, session: Session, user: User, headers: dict[str, str], name: str, header: str
) -> None:
    file = make_file(app, session, user, name=name)

    response = client.get(f"{FILES}/{file.id}/content", headers=headers)

    assert response.headers["Content-Disposition"] == f"attachment; {header}"


LONG = bytes(range(256)) * 12_000  # more than one read from the storage returns
RANGES = [
    ("bytes=0-0", 0, 0),
    ("bytes=0-9", 0, 9),
    ("bytes=5-", 5, len(LONG) - 1),
    ("bytes=-7", len(LONG) - 7, len(LONG) - 1),
    (f"bytes={READ_BYTES - 3}-{READ_BYTES + 3}", READ_BYTES - 3, READ_BYTES + 3),
    (f"bytes=10-{10 * len(LONG)}", 10, len(LONG) - 1),
    (f"bytes=-{10 * len(LONG)}", 0, len(LONG) - 1),
]


@pytest.fixture
def long_file(app: Flask, session: Session, user: User) -> DataFile:
    return make_file(app, session, user, LONG)


@pytest.mark.parametrize(("range_", "first", "last"), RANGES)
def test_range_returns_part_of_the_file(
    client: FlaskClient, long_file: DataFile, headers: dict[str, str], range_: str, first: int, last: int
) -> None:
    response = client.get(f"{FILES}/{long_file.id}/content", headers={**headers, "Range": range_})

    assert response.status_code == 206
    assert response.data == LONG[first : last + 1]
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{len(LONG)}"
    assert response.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("range_", [f"bytes={len(LONG)}-", f"bytes={len(LONG)}-{len(LONG) + 5}", "bytes=-0"])
@pytest.mark.req("S11")
def test_range_outside_the_file_returns_416(
    client: FlaskClient, long_file: DataFile, headers: dict[str, str], range_: str
) -> None:
    response = client.get(f"{FILES}/{long_file.id}/content", headers={**headers, "Range": range_})

    assert (response.status_code, response.content_type) == (416, "application/problem+json")
    assert response.headers["Content-Range"] == f"bytes */{len(LONG)}"


@pytest.mark.parametrize("range_", ["bytes=0-1,4-5", "lines=1-2", "bytes=9-1", "bytes=a-b", "rubbish"])
def test_unsupported_range_is_ignored(
    client: FlaskClient, long_file: DataFile, headers: dict[str, str], range_: str
) -> None:
    response = client.get(f"{FILES}/{long_file.id}/content", headers={**headers, "Range": range_})

    assert (response.status_code, response.data == LONG) == (200, True)


def test_unchanged_content_returns_304(client: FlaskClient, file: DataFile, headers: dict[str, str]) -> None:
    url, etag = f"{FILES}/{file.id}/content", f'"{file.sha256}"'

    same = client.get(url, headers={**headers, "If-None-Match": etag})
    other = client.get(url, headers={**headers, "If-None-Match": '"another"'})

    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    assert other.status_code == 200


@pytest.mark.parametrize("etag", ['"another"', 'W/"{}"', '"unclosed', ""])
@pytest.mark.parametrize("range_", ["", "bytes=0-1", "bytes=99999-"])
def test_if_match_of_another_version_returns_412(
    client: FlaskClient, file: DataFile, headers: dict[str, str], etag: str, range_: str
) -> None:
    sent = {**headers, "If-Match": etag.format(file.sha256), "Range": range_}

    response = client.get(f"{FILES}/{file.id}/content", headers=sent)

    assert (response.status_code, response.content_type) == (412, "application/problem+json")


@pytest.mark.parametrize("etag", ['"{}"', '"another", "{}"', "*"])
def test_if_match_of_this_version_returns_the_content(
    client: FlaskClient, file: DataFile, headers: dict[str, str], etag: str
) -> None:
    sent = {**headers, "If-Match": etag.format(file.sha256)}

    response = client.get(f"{FILES}/{file.id}/content", headers=sent)

    assert (response.status_code, response.data) == (200, CSV)


def test_range_of_another_version_returns_whole_file(
    client: FlaskClient, file: DataFile, headers: dict[str, str]
) -> None:
    url, first_bytes = f"{FILES}/{file.id}/content", {"Range": "bytes=0-1"}

    same = client.get(url, headers={**headers, **first_bytes, "If-Range": f'"{file.sha256}"'})
    other = client.get(url, headers={**headers, **first_bytes, "If-Range": '"another"'})
    weak = client.get(url, headers={**headers, **first_bytes, "If-Range": f'W/"{file.sha256}"'})

    assert (same.status_code, other.status_code, weak.status_code) == (206, 200, 200)
    assert other.data == CSV


def test_head_returns_headers_only(client: FlaskClient, file: DataFile, headers: dict[str, str]) -> None:
    response = client.head(f"{FILES}/{file.id}/content", headers=headers)

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == str(len(CSV))


def test_file_without_object_is_not_found(
    client: FlaskClient, storage: Storage, file: DataFile, headers: dict[str, str]
) -> None:
    storage.delete(file.storage_key)

    assert client.get(f"{FILES}/{file.id}/content", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("method", "request_headers", "status"),
    [
        ("GET", {}, 200),
        ("HEAD", {}, 200),
        ("GET", {"Range": "bytes=1-2"}, 206),
        ("GET", {"If-None-Match": f'"{"0" * 64}"'}, 304),
        ("GET", {"Range": "bytes=999-"}, 416),
    ],
)
def test_every_response_closes_the_stream(
    client: FlaskClient,
    storage: Storage,
    file: DataFile,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    request_headers: dict[str, str],
    status: int,
) -> None:
    opened: list[BinaryIO] = []
    open_object = storage.open

    def record(key: str) -> BinaryIO:
        opened.append(open_object(key))
        return opened[-1]

    monkeypatch.setattr(storage, "open", record)

    response = client.open(
        f"{FILES}/{file.id}/content", method=method, headers={**headers, **request_headers}, buffered=True
    )
    response.close()

    assert response.status_code == status
    assert [stream.closed for stream in opened] == [True]
