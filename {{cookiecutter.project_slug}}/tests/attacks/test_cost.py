"""A rejected body costs no more than an accepted one of its size, in CPU time and in the size of the response."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.attacks.conftest import Attacker
from tests.attacks.costs import MAX_RESPONSE_BYTES, TOLERANCE, cpu_seconds
from tests.routes import Route

pytestmark = [pytest.mark.fault("F4"), pytest.mark.req("S13", "A6")]

SIZE = 1_000_000  # bytes, just below MAX_CONTENT_LENGTH
# Texts; numbers; a list of objects; a list of texts. Those of deleted features are left out.
ROUTES = {f"POST /api/v1/{path}" for path in ("auth/refresh", "locations", "locations/batch", "api-keys")}


def filled(start: str, part: str, end: str) -> str:
    """Return `start`, as many parts as fit, and `end`."""
    return start + ",".join([part] * ((SIZE - len(start) - len(end)) // (len(part) + 1))) + end


def members(value: str) -> str:
    """Return an object of 1 MB with unknown members."""
    text = ",".join(f'"k{number}":{value}' for number in range(SIZE // (len(value) + 9)))
    return "{" + text + "}"


def hostile_bodies(example: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield bodies of 1 MB that the route rejects, by name."""
    yield "list", filled("[", "1", "]")
    yield "empty objects", filled("[", "{}", "]")
    yield "empty lists", filled("[", "[]", "]")
    yield "unknown members", members("1")
    yield "unknown objects", members("{}")
    yield "one unknown member", json.dumps({"k" * (SIZE - 10): 1})
    yield "nesting", "[" * SIZE
    yield "nested objects", '{"a":' * (SIZE // 5)
    yield "huge integer", "1" * SIZE
    yield "huge integers", filled("[", "1" * 4300, "]")
    yield "text", json.dumps("x" * (SIZE - 2))
    yield "commas in a text", json.dumps("," * (SIZE - 2))
    yield "escapes", '"' + "\\u00e9" * (SIZE // 6) + '"'
    yield "duplicates", filled("{", '"a":1', "}")
    for name in example:
        start = "{" + f'"{name}":'
        yield f"{name}: items", filled(f"{start}[", "{}", "]}")
        yield f"{name}: numbers", filled(f"{start}[", "1", "]}")
        yield f"{name}: text", f'{start}"{"x" * (SIZE - 30)}"' + "}"
        yield f"{name}: accents", f'{start}"{"e" + chr(0x301) * 2}'.ljust(SIZE // 3, "\u0301") + '"}'
        yield f"{name}: e-mail", f'{start}"{"a." * (SIZE // 2 - 30)}@example.org"' + "}"
        yield f"{name}: integer", f"{start}{'1' * 4300}" + "}"
        yield f"{name}: fraction", f"{start}0.{'1' * (SIZE - 30)}" + "}"


def padded(body: object) -> bytes:
    """Return a valid body, with blanks up to the size of the hostile ones."""
    return json.dumps(body).encode().ljust(SIZE)


def accepted_cost(attacker: Attacker, route: Route) -> float:
    """Return the CPU time of a body of 1 MB that passes the schema."""
    credentials = attacker.credentials(route)
    body = padded(attacker.example_body(route))

    def call() -> None:
        response = attacker.open(route, data=body, content_type="application/json", credentials=credentials)
        assert response.status_code != 422, response.text

    return cpu_seconds(call)


def test_rejected_body_costs_no_more_than_accepted_one(attacker: Attacker) -> None:
    expensive = {}
    for route in [route for route in attacker.routes("json") if str(route) in ROUTES]:
        accepted = accepted_cost(attacker, route)
        credentials = attacker.credentials(route)
        for name, text in hostile_bodies(attacker.example_body(route)):
            body = text.encode()

            def call(route: Route = route, body: bytes = body, credentials: dict[str, str] = credentials) -> None:
                response = attacker.open(route, data=body, content_type="application/json", credentials=credentials)
                assert response.status_code in (400, 413, 422), (route, response.status_code)
                assert len(response.data) < MAX_RESPONSE_BYTES

            rejected = cpu_seconds(call)
            if rejected > TOLERANCE * accepted:
                expensive[str(route), name] = rejected / accepted

    assert expensive == {}


def test_query_with_many_parameters_is_rejected(attacker: Attacker) -> None:
    for route in attacker.routes():
        credentials = attacker.credentials(route)
        query = "&".join(f"k{number}" for number in range(900))

        for text in (query, f"{query}&{query.replace('k', 'm')}"):
            response = attacker.open(route, query_string=text, credentials=credentials)

            assert response.status_code == 422, route
            assert len(response.data) < MAX_RESPONSE_BYTES
