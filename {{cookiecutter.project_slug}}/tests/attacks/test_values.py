"""No value in JSON, forms, cursors, headers and paths causes an error in the database, in dates or in codecs."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import sqlalchemy as sa

from app.accounts.models import User
from app.platform.api.pagination import PageQuery
from app.platform.database.base import db
from tests.accounts.factory import bearer
from tests.attacks.conftest import Attacker, bodies_with

pytestmark = [pytest.mark.fault("F28"), pytest.mark.req("A6", "S11")]

TIMES = [
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T23:59:59Z",
    "2026-01-01T00:00:00+23:59:59.999999",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2016-12-31T23:59:60Z",
    "-0001-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2026-W53-7",
    "20260101",
    "2026-01-01T00:00:00",
]
NUMBERS = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 5e-324, 1e308]
TEXTS = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff",
    "\x7f",
    "\x85",
    "\u202e",
    "\ufeff",
    "\uffff",
    "\U0010ffff",
    "NaN",
    "Infinity",
    "1_0",
    "٣",
    "%00",
    "\\u0000",
    "a" * 100_000,
]
JSON_VALUES: list[Any] = [
    *TIMES,
    *NUMBERS,
    *TEXTS,
    True,
    False,
    None,
    [],
    {},
    [[]],
    [None],
    {"a": None},
    {"": 1},
    {"\x00": 1},
]
QUERY_VALUES = [
    *TIMES,
    *map(str, NUMBERS),
    *(text.encode("utf-8", "surrogatepass") for text in TEXTS if len(text) < 100),
    b"\xff",
    b"\xed\xa0\x80",
]
HEADERS = [
    "Accept",
    "Accept-Encoding",
    "Idempotency-Key",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Origin",
    "Range",
    "X-Export-Passphrase",
    "X-Forwarded-For",
    "X-Request-ID",
    "traceparent",
    "tracestate",
]
HEADER_VALUES = [
    "",
    "\x80\xff",
    "é" * 100,
    "a" * 4000,
    "bytes=0-99999999999999999999",
    "bytes=-0",
    "Thu, 01 Jan 0001 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:60 GMT",
    'W/"\xff"',
    "Bearer \xff",
    "Bearer e30.e30.e30",
    "Basic \xff\xff",
    "application/json; charset=utf-99",
    "multipart/form-data; boundary=\xff",
    "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff",
    "fsk_aaaaaaaa_" + "a" * 43,
    "1.2.3.4:99999999, [::1]:x, \xff",
]


def encode(value: object) -> str:
    """Return a cursor with this content."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_values_in_bodies_cause_no_server_error(attacker: Attacker) -> None:
    for route in attacker.routes("json"):
        credentials = attacker.credentials(route)
        for value in JSON_VALUES:
            for body in bodies_with(attacker.example_body(route), value):
                response = attacker.open(
                    route, data=json.dumps(body), content_type="application/json", credentials=credentials
                )
                assert response.status_code < 500, (route, body, response.text)
                if response.status_code in (204, 401):  # the session or the account may have ended
                    credentials = attacker.credentials(route)


def test_values_in_queries_cause_no_server_error(attacker: Attacker) -> None:
    for route in attacker.routes("query"):
        credentials = attacker.credentials(route)
        for name in route.schemas["query"].fields:
            for value in QUERY_VALUES:
                response = attacker.open(route, query_string={name: value}, credentials=credentials)
                assert response.status_code in (200, 422), (route, name, value, response.text)


CURSORS: list[object] = [
    *[[time, 1] for time in TIMES],
    *[["2026-01-01T00:00:00Z", number] for number in NUMBERS],
    *[["2026-01-01T00:00:00Z", value] for value in (True, None, "1", [1], {"a": 1}, 1.0)],
    [float("nan"), 1],
    [1, "2026-01-01T00:00:00Z"],
    [],
    ["2026-01-01T00:00:00Z"],
    ["2026-01-01T00:00:00Z", 1, 1],
    {"a": 1, "b": 2},
    "ab",
    0,
    None,
    True,
    b"",
    b"\xff\xfe",
    b"[" * 3000,
    b"1" * 5000,
    b'["\\ud800", 1]',
]


def test_cursors_cause_no_server_error(attacker: Attacker) -> None:
    lists = [route for route in attacker.routes("query") if isinstance(route.schemas["query"], PageQuery)]
    assert len(lists) > 4
    for route in lists:
        credentials = attacker.credentials(route)
        for content in CURSORS:
            response = attacker.open(route, query_string={"cursor": encode(content)}, credentials=credentials)
            assert response.status_code in (200, 422), (route, content, response.text)


def test_values_in_headers_cause_no_server_error(attacker: Attacker) -> None:
    for route in attacker.routes():
        if route.method == "DELETE":
            continue  # it has no input besides the path
        credentials = attacker.credentials(route)
        options = {} if "json" not in route.schemas else {"data": json.dumps(attacker.example_body(route))}
        for value in HEADER_VALUES:
            for names in (HEADERS, ["Authorization"], ["X-API-Key"], ["Content-Type"]):
                headers = {"Content-Type": "application/json"} | dict.fromkeys(names, value)
                response = attacker.open(route, headers=headers, credentials=credentials, **options)
                assert response.status_code < 500, (route, names, value, response.text)


def test_values_in_paths_cause_no_server_error(attacker: Attacker) -> None:
    for route in [route for route in attacker.routes() if "<" in route.rule.rule]:
        credentials = attacker.credentials(route)
        for value in ("0", "-1", "1.0", "01", "٣", "9" * 18, "9" * 19, "9" * 400, "%00", "%ff", "%ed%a0%80", "1%0a"):
            response = attacker.open(
                route, value, credentials=credentials, json={} if "json" in route.schemas else None
            )
            assert response.status_code < 500, (route, value, response.text)


FORM_VALUES = ["\x00", "\ud800", "a\r\nb", "é", "\u202e", "a" * 5000, ".", "..", "%00"]


def test_values_in_forms_cause_no_server_error(attacker: Attacker) -> None:
    for route in attacker.routes("files"):
        credentials = attacker.credentials(route)
        for value in FORM_VALUES:
            raw = value.encode("utf-8", "surrogatepass")
            for part in (
                b'name="file"; filename="' + raw + b'.csv"',
                b'name="' + raw + b'"; filename="a.csv"',
                b'name="' + raw + b'"',
                b"name=\"file\"; filename*=utf-99''" + raw,
                b"name=\"file\"; filename*=UTF-8''%ED%A0%80" + raw,
            ):
                body = b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n\r\na\n1\n\r\n--x--\r\n"
                response = attacker.open(
                    route, data=body, content_type="multipart/form-data; boundary=x", credentials=credentials
                )
                assert response.status_code < 500, (route, part, response.text)


def credentials_of_erased_user(attacker: Attacker) -> dict[str, str]:
    """Return the credentials of a user that another request has erased."""
    user = attacker.new_admin()
    user_id, credentials = user.id, bearer(attacker.app, user)
    with attacker.app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.delete(User).where(User.id == user_id))
    return credentials


@pytest.mark.fault("F61")
def test_requests_of_erased_account_cause_no_server_error(attacker: Attacker) -> None:
    for route in attacker.routes():
        if route.is_public:
            continue
        credentials = credentials_of_erased_user(attacker)
        options: dict[str, Any] = {"json": attacker.example_body(route)} if "json" in route.schemas else {}
        if "files" in route.schemas:
            response = attacker.upload(route, credentials=credentials)
        else:
            response = attacker.open(route, credentials=credentials, **options)

        assert response.status_code < 500, (route, response.text)
        assert response.status_code != 201, route
