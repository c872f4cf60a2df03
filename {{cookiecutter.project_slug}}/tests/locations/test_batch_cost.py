"""Rejected batches: their errors, and their cost."""

from __future__ import annotations

from typing import Any

import pytest

from app.platform.web.problems import MAX_ERRORS
from tests.attacks.conftest import Attacker, app_without_limits, attacker
from tests.attacks.costs import MAX_RESPONSE_BYTES, TOLERANCE, cpu_seconds
from tests.routes import Route

__all__ = ["app_without_limits", "attacker"]

pytestmark = [pytest.mark.fault("F4"), pytest.mark.req("S13", "A6")]

POSITION = {"latitude": 52.516312345, "longitude": 13.377712345, "accuracy": 7.5, "recorded_at": "2026-01-02T03:04:05Z"}
BATCHES: dict[str, list[Any]] = {
    "missing members": [{}] * 1000,
    "wrong types": [dict.fromkeys(POSITION, "x" * 20)] * 1000,
    "unknown members": [{**POSITION, "a": 1}] * 1000,
    "no objects": ["x" * 100] * 1000,
    "too long": [POSITION] * 1001,
    "far too long": [POSITION] * 8000,
}


@pytest.fixture
def route(attacker: Attacker) -> Route:
    """The route of batches."""
    return next(route for route in attacker.routes("json") if str(route) == "POST /api/v1/locations/batch")


@pytest.mark.parametrize("name", BATCHES)
def test_rejected_batch_costs_no_more_than_accepted_one(attacker: Attacker, route: Route, name: str) -> None:
    credentials = attacker.credentials(route)

    def cost(locations: list[Any], status: int) -> float:
        def call() -> None:
            response = attacker.open(route, json={"locations": locations}, credentials=credentials)
            assert response.status_code == status, response.text
            assert len(response.data) < MAX_RESPONSE_BYTES

        return cpu_seconds(call)

    assert cost(BATCHES[name], 422) <= TOLERANCE * cost([POSITION] * 1000, 201)


def test_errors_beyond_a_limit_are_counted(attacker: Attacker, route: Route) -> None:
    errors = attacker.open(route, json={"locations": [{}] * 1000}).get_json()["errors"]

    assert len(errors) == MAX_ERRORS + 1
    assert errors["locations.0.latitude"] == ["Missing data for required field."]
    assert errors["locations"] == ["980 more items were not checked."]
    assert errors["_more"] == ["21 more fields have errors."]


def test_too_long_list_has_one_error(attacker: Attacker, route: Route) -> None:
    for count in (1001, 340_000):
        body = '{"locations":[' + ",".join(["{}"] * count) + "]}"
        response = attacker.open(route, data=body, content_type="application/json")

        assert response.status_code == 422
        assert response.get_json()["errors"] == {"locations": ["Must have from 1 to 1000 items."]}
