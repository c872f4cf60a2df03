"""Bodies that readers differ about, or choke on, are refused by every route that takes one."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from app.settings import settings_of
from tests.attacks.conftest import Attacker

JSON = "application/json"
DEEP = 20_000  # far beyond what any reader can follow


def first(body: dict[str, Any]) -> tuple[str, Any]:
    """A member to play with; of routes whose body is an empty object, one that there is not."""
    return next(iter(body.items()), ("name", "value"))


@pytest.mark.req("A6", "S11")
def test_a_member_that_comes_twice(attacker: Attacker) -> None:
    for route in attacker.routes("json"):
        proof = attacker.proof(route)
        name, value = first(attacker.sample(route))
        member = f"{json.dumps(name)}: {json.dumps(value)}"
        spelled_otherwise = f'"\\u{ord(name[0]):04x}{name[1:]}": 1'

        for second in (member, spelled_otherwise):
            body = "{" + f"{member}, {second}" + "}"
            answer = attacker.open(route, data=body, content_type=JSON, proof=proof)

            assert answer.status_code == 400, (route, body)
            assert "names a member twice" in answer.get_json()["message"]


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.req("A6", "S11")
def test_a_body_without_a_bottom(attacker: Attacker, opening: str) -> None:
    closing = opening.translate(str.maketrans('[{"a:', "]}   "))[::-1]
    for route in attacker.routes("json"):
        proof = attacker.proof(route)
        name, _ = first(attacker.sample(route))
        deep = f"{opening * DEEP}1{closing * DEEP}"

        for body in (opening * DEEP, deep, "{" + f"{json.dumps(name)}: {deep}" + "}"):
            assert attacker.open(route, data=body, content_type=JSON, proof=proof).status_code == 400, route


@pytest.mark.req("A6", "S11")
def test_a_body_that_is_too_large(attacker: Attacker) -> None:
    size = settings_of(attacker.app).MAX_CONTENT_LENGTH
    for route in attacker.routes("json"):
        proof = attacker.proof(route)
        body = json.dumps({"a": "x" * size})

        announced = attacker.open(route, data=body, content_type=JSON, proof=proof)
        lied_about = attacker.open(
            route, data=body, content_type=JSON, environ_overrides={"CONTENT_LENGTH": "20"}, proof=proof
        )

        assert announced.status_code == 413, route
        assert lied_about.status_code in (400, 413), route


@pytest.mark.req("A6", "S11")
def test_a_number_that_is_too_large(attacker: Attacker) -> None:
    for route in attacker.routes("json"):
        proof = attacker.proof(route)
        for name in attacker.sample(route):
            for number in ("1" * 5000, "1e999999", "-1e400", "9" * 30):
                body = "{" + f"{json.dumps(name)}: {number}" + "}"

                assert attacker.open(route, data=body, content_type=JSON, proof=proof).status_code in (400, 422), (
                    route,
                    body[:99],
                )


CONFUSED = [
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


@pytest.mark.parametrize(("content_type", "write"), CONFUSED, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.req("A6", "S11")
def test_a_body_that_is_not_what_it_says(attacker: Attacker, content_type: str, write: Any) -> None:
    expected = 400 if content_type.startswith("application/json;") or content_type == JSON else 415
    for route in attacker.routes("json"):
        proof = attacker.proof(route)
        before = attacker.rows() if route.is_public else None

        answer = attacker.open(route, data=write(attacker.sample(route)), content_type=content_type, proof=proof)

        assert answer.status_code == expected, (route, answer.text)
        assert before is None or attacker.rows() == before


@pytest.mark.req("A6", "S11")
def test_json_where_a_file_is_wanted(attacker: Attacker) -> None:
    for route in attacker.routes("files"):
        proof = attacker.proof(route)
        bodies: list[Any] = [{}, {"file": "=1+1"}, []]
        for body in bodies:
            assert attacker.open(route, json=body, proof=proof).status_code in (415, 422), route
