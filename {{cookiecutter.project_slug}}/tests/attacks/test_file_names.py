"""The name of a file that somebody sent is a name, in headers too, and no path."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts.models import User
from tests.accounts.factory import bearer
from tests.attacks.conftest import Attacker

FILES = "/api/v1/data-files"
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


@pytest.fixture
def client(attacker: Attacker) -> FlaskClient:
    return attacker.app.test_client()


@pytest.fixture
def headers(attacker: Attacker, user: User) -> dict[str, str]:
    return bearer(attacker.app, user)


def send(client: FlaskClient, headers: dict[str, str], name: bytes) -> TestResponse:
    """Send a file under a name just as it is, which no library for clients would do."""
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


def test_a_plain_name_is_taken_so_that_the_refusals_mean_something(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    made = send(client, headers, b"two words.csv")

    assert (made.status_code, made.get_json()["name"]) == (201, "two words.csv")


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:24]))
@pytest.mark.req("A4", "S10")
def test_a_name_is_refused_or_comes_back_harmless(client: FlaskClient, headers: dict[str, str], name: bytes) -> None:
    made = send(client, headers, name)
    if made.status_code in (400, 413, 415, 422):
        return
    file = made.get_json()
    content = client.get(f"{FILES}/{file['id']}/content", headers=headers, buffered=True)

    assert made.status_code == 201
    assert not set("/\\\r\n\x00\x1b\u2028\u202e") & set(file["name"])
    assert content.headers["Content-Disposition"].startswith("attachment; ")
    assert content.headers["Content-Disposition"].count("filename=") == 1
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    assert content.mimetype in ("text/csv", "text/plain")
    for answer in (made, content):
        assert "X-Evil" not in answer.headers
        assert answer.headers.get("Location", "/").startswith("/")
        assert not [text for _, text in answer.headers if not text.isascii() or not text.isprintable()]
