"""Every body with a member that callers may not set is rejected as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.attacks.conftest import Attacker

FORBIDDEN: dict[str, Any] = {
    "role": "admin",
    "is_admin": True,
    "id": 1,
    "user_id": 1,
    "created_at": "2000-01-01T00:00:00Z",
    "password_hash": "x",
    "__class__": {"__init__": {}},
}


def extended(body: Any, name: str, value: object) -> Iterator[Any]:
    """Yield copies of a body, each with the member in another of its objects."""
    if isinstance(body, dict):
        yield {**deepcopy(body), name: value}
        for key, inner in body.items():
            yield from ({**deepcopy(body), key: changed} for changed in extended(inner, name, value))
    if isinstance(body, list):
        for index, inner in enumerate(body):
            for changed in extended(inner, name, value):
                yield [*body[:index], changed, *body[index + 1 :]]


@pytest.mark.req("A2", "A6")
def test_bodies_with_forbidden_members_are_rejected(attacker: Attacker) -> None:
    tried, accepted = 0, []
    for route in attacker.routes("json"):
        example_body, credentials = attacker.example_body(route), attacker.credentials(route)
        before = attacker.rows()
        for name in FORBIDDEN.keys() - route.schemas["json"].fields.keys():
            for body in extended(example_body, name, FORBIDDEN[name]):
                response = attacker.open(route, json=body, credentials=credentials)
                named = [field.rpartition(".")[2] for field in response.get_json().get("errors", {})]
                tried += 1
                if response.status_code != 422 or name not in named:
                    accepted.append((str(route), body, response.status_code))
        assert attacker.rows() == before, route

    assert accepted == []
    assert tried > 50


@pytest.mark.req("A2", "A6")
def test_forms_with_forbidden_fields_are_rejected(attacker: Attacker) -> None:
    for route in attacker.routes("files"):
        credentials = attacker.credentials(route)
        before = attacker.rows()
        for name, value in FORBIDDEN.items():
            response = attacker.upload(route, fields={name: str(value)}, credentials=credentials)

            assert response.status_code == 422, (route, name)
            assert name in response.get_json()["errors"], (route, name)
        assert attacker.rows() == before, route


@pytest.mark.req("A2", "A6")
def test_queries_with_forbidden_names_are_rejected(attacker: Attacker) -> None:
    for route in attacker.routes():
        credentials = attacker.credentials(route)
        declared = route.schemas["query"].fields.keys() if "query" in route.schemas else set()
        for name in FORBIDDEN.keys() - declared:
            response = attacker.open(route, query_string={name: str(FORBIDDEN[name])}, credentials=credentials)

            assert response.status_code == 422, (route, name)
