"""Accepted and rejected file names and contents."""

from __future__ import annotations

import io
import zipfile
import zlib

import pytest

from app.data_files.content import InvalidFileName, UnsupportedContent, clean_name, detect_media_type

pytestmark = pytest.mark.req("A4", "A6")

NAMES = [
    ("people.csv", "people.csv"),
    ("../../etc/passwd", "passwd"),
    ("/etc/passwd", "passwd"),
    ("C:\\x.csv", "x.csv"),
    ("..\\..\\windows\\x.csv", "x.csv"),
    ("a/b\\c.json", "c.json"),
    ("  spaced out .csv ", "spaced out .csv"),
    ("..data.csv", "..data.csv"),
    ("çédille 統計 😀.csv", "çédille 統計 😀.csv"),
    ("e\u0301.csv", "\u00e9.csv"),
    ("\u0645\u06cc\u200c\u062e\u0648\u0631\u0645.csv", "\u0645\u06cc\u200c\u062e\u0648\u0631\u0645.csv"),
    ("quo\"te'd; filename=x.csv", "quo\"te'd; filename=x.csv"),
    ("%2e%2e%2fx.csv", "%2e%2e%2fx.csv"),  # a valid name; no code decodes it
    ("x" * 251 + ".csv", "x" * 251 + ".csv"),
]


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_clean_name_returns_last_part_of_path(path: str, name: str) -> None:
    assert clean_name(path) == name


INVALID_NAMES = [
    *("", ".", "..", "...", "/", "\\", "a/", "../..", "  ", "x" * 252 + ".csv"),
    *("a\x00b.csv", "a\nb.csv", "a\r\nSet-Cookie: x.csv", "a\x1b[2J.csv", "a\x7f.csv", "a\x85.csv", "a\u2028b.csv"),
    *("annual\u202evsc.exe", "a\u2066b.csv", "a\u200b.csv", "a\ufeff.csv", "a\ud800.csv"),
]


@pytest.mark.parametrize("path", INVALID_NAMES)
def test_clean_name_rejects_invalid_name(path: str) -> None:
    with pytest.raises(InvalidFileName, match="Must have a name"):
        clean_name(path)


CSV, JSON, LINES = "text/csv", "application/json", "application/x-ndjson"
SUPPORTED = [
    ("a.csv", b"id,name\n1,Ann\n", CSV),
    ("a.CSV", b"id;name\r\n1;Ann\r\n", CSV),
    ("a.csv", b"\xef\xbb\xbfid,name\n", CSV),
    ("a.csv", "näme\n統計 😀\n".encode(), CSV),
    ("a.csv", b"\n", CSV),
    ("a.json", b'[{"a": 1}]', JSON),
    ("a.json", b'\xef\xbb\xbf \n {"a": 1}', JSON),
    ("a.json", b"[broken", JSON),  # starts like JSON; a test of the file reports the problem
    ("a.jsonl", b'{"a": 1}\n{"a": 2}\n', LINES),
    ("a.ndjson", b'{"a": 1}\n', LINES),
    ("a.txt", b"id\n1\n", CSV),
    ("a.txt", b"[]", JSON),
    ("passwd", b"id\n1\n", CSV),
    ("a.csv", ("é" * 100_000).encode(), CSV),  # a chunk ends within a character
]


@pytest.mark.parametrize(("name", "content", "media_type"), SUPPORTED, ids=lambda value: str(value)[:30])
def test_content_decides_media_type(name: str, content: bytes, media_type: str) -> None:
    assert detect_media_type(io.BytesIO(content), name) == media_type


def zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", content)
    return target.getvalue()


BOMB = b"0" * 10_000_000
UNSUPPORTED = [
    ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
    ("a.csv", zipped(BOMB), "The file is not"),
    ("a.csv", zlib.compress(BOMB, wbits=31), "not UTF-8"),
    ("a.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not UTF-8"),
    ("a.csv", b"\x7fELF\x02\x01\x01", "control characters"),
    ("a.csv", "id,name\n".encode("utf-16"), "not UTF-8"),
    ("a.csv", "id,name\n".encode("utf-16-le"), "control characters"),
    ("a.csv", "näme\n".encode("latin-1"), "not UTF-8"),
    ("a.csv", b"id\n" + b"1\n" * 50_000 + b"\x00\n", "control characters"),
    ("a.csv", b"id\n" + b"1\n" * 50_000 + b"\xff\n", "not UTF-8"),
    ("a.csv", b"id\n\xc3", "not UTF-8"),  # ends within a character
    ("a.csv", b"id\n\x1b[2J\n", "control characters"),
    ("a.csv", b"\xed\xa0\x80\n", "not UTF-8"),  # a surrogate
    ("a.csv", b"\xc0\x80\n", "not UTF-8"),  # an overlong encoding of NUL
    ("a.json", b"id,name\n1,Ann\n", "ends in .json"),
    ("a.json", b'"text"', "ends in .json"),
    ("a.jsonl", b"id\n1\n", "ends in .jsonl"),
    ("a.csv", b'[{"a": 1}]', "ends in .csv"),
    ("a.csv", b'  {"a": 1}', "ends in .csv"),
    ("a.png", b"id\n1\n", "end in .png"),
    ("a.html", b"<script>alert(1)</script>", "end in .html"),
    ("a.csv.exe", b"id\n1\n", "end in .exe"),
]


@pytest.mark.parametrize(("name", "content", "reason"), UNSUPPORTED, ids=lambda value: str(value)[:30])
def test_unsupported_content_is_rejected_with_accepted_types(name: str, content: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedContent) as raised:
        detect_media_type(io.BytesIO(content), name)

    assert reason in str(raised.value)
    assert str(raised.value).endswith("Send CSV (.csv) or JSON (.json, .jsonl) as UTF-8 text.")
