"""Hostile file names: no path, no header injection."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.data_files.factory import FILES

pytestmark = pytest.mark.usefixtures("storage")

NAMES = [
    b"a\r\nX-Evil: 1.csv",
    b"a%0d%0aX-Evil: 1.csv",
    b'a"; filename="b.html.csv',
    b'a\\".csv',
    b"a; X-Evil=1.csv",
    b"../../../etc/passwd.csv",
    b"..\\..\\win.csv",
    b"/etc/passwd.csv",
    b"C:\\a.csv",
    b"....//a.csv",
    b"a\x00.csv",
    b"a\x1b[2J.csv",
    "\u202evsc.exe.csv".encode(),
    "a\u2028X-Evil: 1.csv".encode(),
    b"\xff\xfe.csv",
    b"x" * 5000 + b".csv",
    b".csv",
    b"CON.csv",
    b"a.html",
    b"<script>alert(1)</script>.csv",
]


def send(client: FlaskClient, headers: dict[str, str], name: bytes) -> TestResponse:
    """Upload a file under a raw name, which client libraries would escape."""
    lines = [
        b"--edge",
        b'Content-Disposition: form-data; name="file"; filename="' + name + b'"',
        b"Content-Type: text/html",
        b"",
        b"a,b",
        b"1,2",
        b"",
        b"--edge--",
        b"",
    ]
    return client.post(
        FILES, data=b"\r\n".join(lines), content_type="multipart/form-data; boundary=edge", headers=headers
    )


def test_plain_name_is_accepted(client: FlaskClient, headers: dict[str, str]) -> None:
    created = send(client, headers, b"two words.csv")

    assert (created.status_code, created.get_json()["name"]) == (201, "two words.csv")


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:24]))
@pytest.mark.req("A4", "S10")
def test_hostile_name_is_rejected_or_sanitised(client: FlaskClient, headers: dict[str, str], name: bytes) -> None:
    created = send(client, headers, name)
    if created.status_code in (400, 413, 415, 422):
        return
    file = created.get_json()
    content = client.get(f"{FILES}/{file['id']}/content", headers=headers, buffered=True)

    assert created.status_code == 201
    assert not set("/\\\r\n\x00\x1b\u2028\u202e") & set(file["name"])
    assert content.headers["Content-Disposition"].startswith("attachment; ")
    assert content.headers["Content-Disposition"].count("filename=") == 1
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    assert content.mimetype in ("text/csv", "text/plain")
    for response in (created, content):
        assert "X-Evil" not in response.headers
        assert response.headers.get("Location", "/").startswith("/")
        assert not [text for _, text in response.headers if not text.isascii() or not text.isprintable()]
