"""Every route with a body rejects ambiguous, oversized and malformed bodies."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from app.platform.settings.declarations import settings_of
from tests.attacks.conftest import Attacker

JSON = "application/json"
DEPTH = 20_000  # far beyond the limit of any parser


def first(body: dict[str, Any]) -> tuple[str, Any]:
    """Return the first member of a body; for an empty object, a member that does not exist."""
    return next(iter(body.items()), ("name", "value"))


@pytest.mark.req("A6", "S11")
def test_duplicate_member_is_rejected(attacker: Attacker) -> None:
    for route in attacker.routes("json"):
        credentials = attacker.credentials(route)
        name, value = first(attacker.example_body(route))
        member = f"{json.dumps(name)}: {json.dumps(value)}"
        escaped_name = f'"\\u{ord(name[0]):04x}{name[1:]}": 1'

        for second in (member, escaped_name):
            body = "{" + f"{member}, {second}" + "}"
            response = attacker.open(route, data=body, content_type=JSON, credentials=credentials)

            assert response.status_code == 400, (route, body)
            assert "duplicate member" in response.get_json()["message"]


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.req("A6", "S11")
def test_deeply_nested_body_is_rejected(attacker: Attacker, opening: str) -> None:
    closing = opening.translate(str.maketrans('[{"a:', "]}   "))[::-1]
    for route in attacker.routes("json"):
        credentials = attacker.credentials(route)
        name, _ = first(attacker.example_body(route))
        deep = f"{opening * DEPTH}1{closing * DEPTH}"

        for body in (opening * DEPTH, deep, "{" + f"{json.dumps(name)}: {deep}" + "}"):
            assert attacker.open(route, data=body, content_type=JSON, credentials=credentials).status_code == 400, route


@pytest.mark.req("A6", "S11")
def test_too_large_body_is_rejected(attacker: Attacker) -> None:
    size = settings_of(attacker.app).MAX_CONTENT_LENGTH
    for route in attacker.routes("json"):
        credentials = attacker.credentials(route)
        body = json.dumps({"a": "x" * size})

        with_length = attacker.open(route, data=body, content_type=JSON, credentials=credentials)
        with_wrong_length = attacker.open(
            route, data=body, content_type=JSON, environ_overrides={"CONTENT_LENGTH": "20"}, credentials=credentials
        )

        assert with_length.status_code == 413, route
        assert "larger than" in with_length.get_json()["message"], route
        assert with_wrong_length.status_code in (400, 413), route


@pytest.mark.req("A6", "S11")
def test_too_large_number_is_rejected(attacker: Attacker) -> None:
    for route in attacker.routes("json"):
        credentials = attacker.credentials(route)
        for name in attacker.example_body(route):
            for number in ("1" * 5000, "1e999999", "-1e400", "9" * 30):
                body = "{" + f"{json.dumps(name)}: {number}" + "}"

                response = attacker.open(route, data=body, content_type=JSON, credentials=credentials)

                assert response.status_code in (400, 422), (route, body[:99])


WRONG_CONTENT_TYPES = [
    ("text/plain", json.dumps),
    ("application/x-www-form-urlencoded", json.dumps),
    ("multipart/form-data; boundary=x", json.dumps),
    ("application/xml", lambda _: '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    ("application/jsonp", json.dumps),
    ("text/json", json.dumps),
    ("application/json; charset=utf-16", lambda body: json.dumps(body).encode("utf-16")),
    ("application/json", lambda body: json.dumps(body).encode("utf-16-le")),
    ("application/json", lambda body: b"\xef\xbb\xbf" + json.dumps(body).encode()),
    ("application/json", lambda body: gzip.compress(json.dumps(body).encode())),
    ("application/json", lambda body: f"callback({json.dumps(body)})"),
    ("application/json", lambda body: f"{json.dumps(body)} {json.dumps(body)}"),
    ("application/json", lambda body: f"/* comment */ {json.dumps(body)}"),
    ("application/json", lambda _: "{'role': 'admin'}"),
]


@pytest.mark.parametrize(
    ("content_type", "write"), WRONG_CONTENT_TYPES, ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.req("A6", "S11")
def test_body_of_another_content_type_is_rejected(attacker: Attacker, content_type: str, write: Any) -> None:
    expected = 400 if content_type.startswith("application/json;") or content_type == JSON else 415
    for route in attacker.routes("json"):
        credentials = attacker.credentials(route)
        before = attacker.rows() if route.is_public else None

        response = attacker.open(
            route, data=write(attacker.example_body(route)), content_type=content_type, credentials=credentials
        )

        assert response.status_code == expected, (route, response.text)
        assert before is None or attacker.rows() == before


@pytest.mark.req("A6", "S11")
def test_json_instead_of_a_file_is_rejected(attacker: Attacker) -> None:
    for route in attacker.routes("files"):
        credentials = attacker.credentials(route)
        bodies: list[Any] = [{}, {"file": "=1+1"}, []]
        for body in bodies:
            assert attacker.open(route, json=body, credentials=credentials).status_code in (415, 422), route
