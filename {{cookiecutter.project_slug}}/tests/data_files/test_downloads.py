"""Downloads: the whole, a range, or nothing for who has it already."""

from __future__ import annotations

import hashlib

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.data_files.models import DataFile
from app.storage import READ_BYTES, Storage
from tests.data_files.factory import CSV, FILES, make_file, upload

pytestmark = [pytest.mark.req("A4"), pytest.mark.usefixtures("storage")]


@pytest.fixture
def file(app: Flask, session: Session, user: User) -> DataFile:
    return make_file(app, session, user)


@pytest.mark.req("S10")
def test_a_file_is_sent_to_be_kept_and_never_to_be_shown(client: FlaskClient, headers: dict[str, str]) -> None:
    given = upload(client, headers, CSV, "people.csv").get_json()

    answer = client.get(f"{FILES}/{given['id']}/content", headers=headers)

    assert (answer.status_code, answer.data) == (200, CSV)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(CSV))
    assert answer.headers["Content-Disposition"] == ("attachment; filename=\"people.csv\"; filename*=UTF-8''people.csv")
    assert answer.headers["ETag"] == f'"{hashlib.sha256(CSV).hexdigest()}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


SHOWN = [
    ('a"b\\c.csv', "filename=\"a_b_c.csv\"; filename*=UTF-8''a%22b%5Cc.csv"),
    ("naïve 統計.csv", "filename=\"na_ve __.csv\"; filename*=UTF-8''na%C3%AFve%20%E7%B5%B1%E8%A8%88.csv"),
    ("a;b='c'%41.csv", "filename=\"a;b='c'_41.csv\"; filename*=UTF-8''a%3Bb%3D%27c%27%2541.csv"),
]


@pytest.mark.parametrize(("name", "header"), SHOWN)
@pytest.mark.req("S10")
def test_a_name_cannot_break_out_of_its_header(
    app: Flask, client: FlaskClient, session: Session, user: User, headers: dict[str, str], name: str, header: str
) -> None:
    file = make_file(app, session, user, name=name)

    answer = client.get(f"{FILES}/{file.id}/content", headers=headers)

    assert answer.headers["Content-Disposition"] == f"attachment; {header}"


LONG = bytes(range(256)) * 12_000  # more than is read from the storage at a time
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


@pytest.mark.parametrize(("asked", "first", "last"), RANGES)
def test_a_range_is_sent(
    client: FlaskClient, long_file: DataFile, headers: dict[str, str], asked: str, first: int, last: int
) -> None:
    answer = client.get(f"{FILES}/{long_file.id}/content", headers={**headers, "Range": asked})

    assert answer.status_code == 206
    assert answer.data == LONG[first : last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(LONG)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", [f"bytes={len(LONG)}-", f"bytes={len(LONG)}-{len(LONG) + 5}", "bytes=-0"])
@pytest.mark.req("S11")
def test_a_range_that_the_file_does_not_have(
    client: FlaskClient, long_file: DataFile, headers: dict[str, str], asked: str
) -> None:
    answer = client.get(f"{FILES}/{long_file.id}/content", headers={**headers, "Range": asked})

    assert (answer.status_code, answer.content_type) == (416, "application/problem+json")
    assert answer.headers["Content-Range"] == f"bytes */{len(LONG)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=9-1", "bytes=a-b", "rubbish"])
def test_a_range_that_is_not_understood_is_ignored(
    client: FlaskClient, long_file: DataFile, headers: dict[str, str], asked: str
) -> None:
    answer = client.get(f"{FILES}/{long_file.id}/content", headers={**headers, "Range": asked})

    assert (answer.status_code, answer.data == LONG) == (200, True)


def test_who_has_the_file_is_not_sent_it_again(client: FlaskClient, file: DataFile, headers: dict[str, str]) -> None:
    url, etag = f"{FILES}/{file.id}/content", f'"{file.sha256}"'

    same = client.get(url, headers={**headers, "If-None-Match": etag})
    other = client.get(url, headers={**headers, "If-None-Match": '"another"'})

    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    assert other.status_code == 200


def test_a_range_of_another_version_is_answered_by_the_whole(
    client: FlaskClient, file: DataFile, headers: dict[str, str]
) -> None:
    url, wish = f"{FILES}/{file.id}/content", {"Range": "bytes=0-1"}

    same = client.get(url, headers={**headers, **wish, "If-Range": f'"{file.sha256}"'})
    other = client.get(url, headers={**headers, **wish, "If-Range": '"another"'})

    assert (same.status_code, other.status_code) == (206, 200)
    assert other.data == CSV


def test_the_head_of_a_file_is_sent_without_it(client: FlaskClient, file: DataFile, headers: dict[str, str]) -> None:
    answer = client.head(f"{FILES}/{file.id}/content", headers=headers)

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CSV))


def test_a_file_whose_content_is_lost_is_not_found(
    client: FlaskClient, storage: Storage, file: DataFile, headers: dict[str, str]
) -> None:
    storage.delete(file.storage_key)

    assert client.get(f"{FILES}/{file.id}/content", headers=headers).status_code == 404
