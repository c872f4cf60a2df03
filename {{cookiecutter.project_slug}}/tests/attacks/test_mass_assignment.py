"""Members that no caller may set are refused wherever there is a body, and nothing of the body is kept."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.attacks.conftest import Attacker

WISHES: dict[str, Any] = {
    "role": "admin",
    "is_admin": True,
    "id": 1,
    "user_id": 1,
    "created_at": "2000-01-01T00:00:00Z",
    "password_hash": "x",
    "__class__": {"__init__": {}},
}


def extended(body: Any, name: str, value: object) -> Iterator[Any]:
    """Copies of a body, each with the member in another of its objects."""
    if isinstance(body, dict):
        yield {**deepcopy(body), name: value}
        for key, inner in body.items():
            yield from ({**deepcopy(body), key: changed} for changed in extended(inner, name, value))
    if isinstance(body, list):
        for index, inner in enumerate(body):
            for changed in extended(inner, name, value):
                yield [*body[:index], changed, *body[index + 1 :]]


@pytest.mark.req("A2", "A6")
def test_no_body_sets_what_is_not_the_callers_to_set(attacker: Attacker) -> None:
    tried, let_in = 0, []
    for route in attacker.routes("json"):
        sample, proof = attacker.sample(route), attacker.proof(route)
        before = attacker.rows()
        for name in WISHES.keys() - route.schemas["json"].fields.keys():
            for body in extended(sample, name, WISHES[name]):
                answer = attacker.open(route, json=body, proof=proof)
                named = [field.rpartition(".")[2] for field in answer.get_json().get("errors", {})]
                tried += 1
                if answer.status_code != 422 or name not in named:
                    let_in.append((str(route), body, answer.status_code))
        assert attacker.rows() == before, route

    assert not let_in
    assert tried > 50


@pytest.mark.req("A2", "A6")
def test_no_form_sets_what_is_not_the_callers_to_set(attacker: Attacker) -> None:
    for route in attacker.routes("files"):
        proof = attacker.proof(route)
        before = attacker.rows()
        for name, value in WISHES.items():
            answer = attacker.upload(route, fields={name: str(value)}, proof=proof)

            assert answer.status_code == 422, (route, name)
            assert name in answer.get_json()["errors"], (route, name)
        assert attacker.rows() == before, route


@pytest.mark.req("A2", "A6")
def test_no_query_sets_what_is_not_the_callers_to_set(attacker: Attacker) -> None:
    for route in attacker.routes():
        proof = attacker.proof(route)
        declared = route.schemas["query"].fields.keys() if "query" in route.schemas else set()
        for name in WISHES.keys() - declared:
            answer = attacker.open(route, query_string={name: str(WISHES[name])}, proof=proof)

            assert answer.status_code == 422, (route, name)
