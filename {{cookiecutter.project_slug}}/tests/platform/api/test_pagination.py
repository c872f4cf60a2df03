"""Cursors of paginated lists."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from sqlalchemy.orm import Session

from app.platform.api.fields import parse_time
from app.platform.api.pagination import Cursor, encode_cursor
from tests.accounts.factory import bearer, make_user

TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def admin_headers(app: Flask, session: Session) -> dict[str, str]:
    return bearer(app, make_user(session, role="admin"))


def test_cursor_round_trip() -> None:
    assert Cursor().deserialize(encode_cursor(TIME, 2**62)) == (TIME, 2**62)


NOW = '"2026-01-01T00:00:00+00:00"'
INVALID_PARTS = [f"{NOW}", '"2026-01-01T00:00:00", 1', f"{NOW}, -1", f"{NOW}, true", f"{NOW}, {2**63}", '"now", 1']
INVALID_CURSORS = [
    "",
    "[]",
    "{}",
    "[" * 5000,
    f'[{NOW}, "1; DROP TABLE users"]',
    *(f"[{part}]" for part in INVALID_PARTS),
]


@pytest.mark.parametrize("content", INVALID_CURSORS)
def test_invalid_cursor_is_rejected(content: str) -> None:
    with pytest.raises(ValidationError, match="Not a cursor"):
        Cursor().deserialize(base64.urlsafe_b64encode(content.encode()).decode())


@pytest.mark.parametrize("text", ["", "é", "====", "a", "%00"])
def test_invalid_base64_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError):
        Cursor().deserialize(text)


contents = st.one_of(
    st.binary(max_size=60),
    st.tuples(
        st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat) | st.text(max_size=30),
        st.integers() | st.floats() | st.booleans(),
    ).map(lambda pair: json.dumps(pair).encode()),
)


@given(contents)
@pytest.mark.fault("F28")
@pytest.mark.req("A6")
def test_any_cursor_is_valid_in_utc_or_rejected(content: bytes) -> None:
    text = base64.urlsafe_b64encode(content).decode().rstrip("=")
    try:
        time, row_id = Cursor().deserialize(text)
    except ValidationError:
        return

    assert time.utcoffset() == timedelta(0)
    assert 0 <= row_id < 2**63


@pytest.mark.parametrize(
    "query", ["limit=1_0", "limit=%D9%A1", "limit=+1", "limit=1e1", "limit=1&limit=2", "limit=%001"]
)
@pytest.mark.fault("F28")
@pytest.mark.req("A6")
def test_limit_is_one_number_in_ascii_digits(client: FlaskClient, admin_headers: dict[str, str], query: str) -> None:
    response = client.get(f"/api/v1/admin/users?{query}", headers=admin_headers)

    assert response.status_code == 422
    assert set(response.get_json()["errors"]) == {"limit"}


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T00:00:00Z\0x",
        "2026-01-01x00:00:00",
        "20260101T000000Z",
        "2026-W01-1",
        "2026-01-01T00:00:00 Z",
        "2026-01-01",
    ],
)
@pytest.mark.fault("F28")
@pytest.mark.req("A6")
def test_time_in_another_notation_is_rejected(time: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time(time)


@pytest.mark.parametrize("time", ["2026-01-01T00:00:00Z", "2026-01-01t00:00:00.5z", "2026-01-01 00:00+00:00"])
def test_time_of_rfc_3339_is_read(time: str) -> None:
    assert parse_time(time).replace(microsecond=0) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.fault("F28")
@pytest.mark.req("A6")
def test_cursor_outside_the_calendar_is_rejected(client: FlaskClient, admin_headers: dict[str, str], time: str) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps([time, 1]).encode()).decode().rstrip("=")

    response = client.get("/api/v1/admin/users", query_string={"cursor": cursor}, headers=admin_headers)

    assert response.status_code == 422
    assert "cursor" in response.get_json()["errors"]
