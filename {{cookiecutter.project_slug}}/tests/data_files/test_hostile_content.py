"""Any content of a file ends in a passed or failed run with a reason."""

from __future__ import annotations

import io
import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.models import User
from app.data_files.content import CSV, JSON, JSON_LINES
from app.data_files.report import validate_file
from app.data_files.tasks import run_test
from tests.accounts.factory import bearer

pytestmark = pytest.mark.fault("F27")

FILES = "/api/v1/data-files"

CONTENTS = {
    "lone low surrogate": b'[{"a": "\\udfff"}]',
    "lone high surrogate": b'[{"a": "\\ud800"}]',
    "swapped surrogates": b'[{"a": "\\udc00\\ud800"}]',
    "surrogate in a name": b'[{"\\udfff": 1}]',
    "encoded surrogate": b'[{"a": "\xed\xa0\x80"}]',
    "NUL escape": b'[{"a": "\\u0000", "\\u0000": 1}]',
    "NUL": b'[{"a": "\x00"}]',
    "overlong encoding": b'[{"a": "\xc0\x80"}]',
    "invalid byte": b'[{"a": "\xff"}]',
    "truncated character": b'[{"a": "\xc3',
    "UTF-16": '[{"a": 1}]'.encode("utf-16"),
    "UTF-32": '[{"a": 1}]'.encode("utf-32"),
    "latin-1": '[{"a": "é"}]'.encode("latin-1"),
    "BOM": b'\xef\xbb\xbf[{"a": 1}]',
    "two BOMs": b'\xef\xbb\xbf\xef\xbb\xbf[{"a": 1}]',
    "half a BOM": b'\xef\xbb[{"a": 1}]',
    "BOM inside": b'[{"a": "\xef\xbb\xbf"}\xef\xbb\xbf]',
    "large integer": b'[{"a": 9223372036854775808}]',
    "huge integer": b'[{"a": ' + b"9" * 100_000 + b"}]",
    "huge exponent": b'[{"a": 1e999999999}]',
    "tiny exponent": b'[{"a": 1e-999999999}]',
    "negative zero": b'[{"a": -0}, {"a": -0.0}]',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep list in an object": b'[{"a": ' + b"[" * 100_000,
    "empty": b"",
    "blanks": b" \n\t ",
    "BOM only": b"\xef\xbb\xbf",
    "separators": b"\n\r\n\r\r\n",
    "line separators": "a,b\u2028c,d\u2029e\x85f\n1,2,3".encode(),
    "year zero": b"a\n0000-01-01\n9999-99-99\n2026-01-01T00:00:00+99:99\n",
    "open quotation": b'a,b\n"1,2',
    "quotation inside": b'a,b\n1"2",3',
    "long row": b"a\n" + b"x" * 2_000_000,
    "bidi names": "\u202ea,\u200b,\ufeff\n1,2,3".encode(),
    "top-level text": b'"text"',
    "end only": b"]",
    "two lists": b'[{"a": 1}][{"a": 2}]',
}


@pytest.mark.parametrize("media_type", [CSV, JSON, JSON_LINES])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_hostile_content_has_a_report(content: bytes, media_type: str) -> None:
    check(content, media_type)


@given(st.binary(max_size=200), st.sampled_from([CSV, JSON, JSON_LINES]))
def test_random_bytes_have_a_report(content: bytes, media_type: str) -> None:
    check(content, media_type)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(["\ud800", "\udfff", "2026-01-01", "0000-00-00", "9999-12-31T23:59:60+24:00", "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(values, st.booleans(), st.integers(0, 40))
def test_random_json_has_a_report(value: object, escaped: bool, cut: int) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    content = text.encode("utf-8", "surrogatepass")

    check(content, JSON)
    check(content[:-cut], JSON)
    check(content + b"\n" + content, JSON_LINES)


@given(st.lists(st.lists(st.text(max_size=8), max_size=4), max_size=5), st.sampled_from(",;\t|"))
def test_random_csv_has_a_report(rows: list[list[str]], delimiter: str) -> None:
    check("\n".join(delimiter.join(row) for row in rows).encode("utf-8", "surrogatepass"), CSV)


def check(content: bytes, media_type: str) -> None:
    """Assert that the file has a report that the database and the API can represent."""
    report = validate_file(io.BytesIO(content), media_type, lambda: None)
    stored = report.as_json()

    assert report.passed or stored["problems"][0]["message"]
    text = json.dumps(stored, ensure_ascii=False)
    text.encode()
    assert "\x00" not in text
    assert "\\u0000" not in text


@pytest.mark.parametrize("name", ["lone low surrogate", "surrogate in a name", "NUL escape", "large integer"])
@pytest.mark.req("A4")
@pytest.mark.usefixtures("storage")
def test_run_of_hostile_file_finishes(app: Flask, client: FlaskClient, user: User, name: str) -> None:
    headers = bearer(app, user)
    upload = client.post(FILES, headers=headers, data={"file": (io.BytesIO(CONTENTS[name]), "a.json")})
    started = client.post(f"{FILES}/{upload.get_json()['id']}/tests", headers=headers)

    with app.app_context():
        run_test(started.get_json()["id"])
    run = client.get(f"/api/v1/tests/{started.get_json()['id']}", headers=headers).get_json()

    assert run["status"] in ("passed", "failed")
    assert run["attempts"] == 1
    assert run["status"] == "passed" or run["report"]["problems"][0]["message"]
