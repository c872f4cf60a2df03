"""Cursors."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from app.pagination import Cursor, encode

TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_a_cursor_comes_back_as_it_was() -> None:
    assert Cursor().deserialize(encode(TIME, 2**62)) == (TIME, 2**62)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '["2026-01-01T00:00:00+00:00"]', '["2026-01-01T00:00:00", 1]', '["2026-01-01T00:00:00+00:00", -1]',
     '["2026-01-01T00:00:00+00:00", true]', '["2026-01-01T00:00:00+00:00", 9223372036854775808]', '["now", 1]', "[" * 5000,
     json.dumps(["2026-01-01T00:00:00+00:00", "1; DROP TABLE users"])],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(content: str) -> None:
    with pytest.raises(ValidationError, match="Not a cursor"):
        Cursor().deserialize(base64.urlsafe_b64encode(content.encode()).decode())


@pytest.mark.parametrize("text", ["", "é", "====", "a", "%00"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Cursor().deserialize(text)
