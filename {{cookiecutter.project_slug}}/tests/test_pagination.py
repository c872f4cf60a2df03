"""Cursors."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from app.pagination import Cursor, encode

TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_a_cursor_comes_back_as_it_was() -> None:
    assert Cursor().deserialize(encode(TIME, 2**62)) == (TIME, 2**62)


NOW = '"2026-01-01T00:00:00+00:00"'
WRONG_PARTS = [f"{NOW}", '"2026-01-01T00:00:00", 1', f"{NOW}, -1", f"{NOW}, true", f"{NOW}, {2**63}", '"now", 1']
NO_CURSORS = ["", "[]", "{}", "[" * 5000, f'[{NOW}, "1; DROP TABLE users"]', *(f"[{part}]" for part in WRONG_PARTS)]


@pytest.mark.parametrize("content", NO_CURSORS)
def test_what_is_no_cursor_is_refused(content: str) -> None:
    with pytest.raises(ValidationError, match="Not a cursor"):
        Cursor().deserialize(base64.urlsafe_b64encode(content.encode()).decode())


@pytest.mark.parametrize("text", ["", "é", "====", "a", "%00"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Cursor().deserialize(text)
