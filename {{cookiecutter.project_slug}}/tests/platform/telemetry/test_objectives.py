"""Which responses breach an objective, and how breaches are counted."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from prometheus_client import REGISTRY

from app import create_app
from app.platform.api.rate_limits import no_rate_limit
from app.platform.security.access import public
from app.platform.telemetry import objectives
from app.platform.telemetry.objectives import no_objective, objective
from app.platform.web.route_policy import Objective

pytestmark = pytest.mark.req("O3")

KINDS = ("latency", "error", "availability")


@pytest.fixture
def fault_client(environment: Mapping[str, str]) -> FlaskClient:
    """A client of two routes whose path sets status and duration: one with an objective, one without."""
    app = create_app(environment)

    @objective(Objective(0.5))
    def measured(status: int, seconds: float) -> Response:
        time.sleep(seconds)
        return Response(status=status)

    @no_objective("a test")
    def unmeasured(status: int, seconds: float) -> Response:
        return measured(status, seconds)

    for view in (measured, unmeasured):
        marked = no_rate_limit("a test")(public("a test")(view))
        app.add_url_rule(f"/{view.__name__}/<int:status>/<float:seconds>", view.__name__, marked)
    objectives.index_objectives(app)
    return app.test_client()


def breaches(route: str, method: str = "GET") -> dict[str, float | None]:
    labels = {"endpoint": f"/{route}/<int:status>/<float:seconds>", "method": method}
    return {kind: REGISTRY.get_sample_value(f"api_slo_{kind}_breach_total", labels) for kind in KINDS}


@pytest.mark.parametrize(
    ("status", "seconds", "breached"),
    [
        (200, 0.0, set()),
        (200, 0.55, {"latency"}),
        (404, 0.0, set()),
        (422, 0.55, {"latency"}),
        (429, 0.55, set()),
        (500, 0.0, {"error", "availability"}),
        (501, 0.55, {"error", "availability", "latency"}),
        (503, 0.0, {"availability"}),
    ],
)
def test_counts_the_breaches_of_a_response(
    fault_client: FlaskClient, status: int, seconds: float, breached: set[str]
) -> None:
    before = breaches("measured")

    fault_client.get(f"/measured/{status}/{seconds}")

    after = breaches("measured")
    assert {kind for kind in KINDS if after[kind] != before[kind]} == breached


def test_exception_counts_as_error(environment: Mapping[str, str]) -> None:
    app = create_app(environment)
    app.testing = False

    @objective(objectives.READ)
    @no_rate_limit("a test")
    @public("a test")
    def broken() -> Response:
        raise RuntimeError("on purpose")

    app.add_url_rule("/broken", "broken", broken)
    objectives.index_objectives(app)
    labels = {"endpoint": "/broken", "method": "GET"}
    before = REGISTRY.get_sample_value("api_slo_error_breach_total", labels) or 0

    assert app.test_client().get("/broken").status_code == 500
    assert REGISTRY.get_sample_value("api_slo_error_breach_total", labels) == before + 1


def test_routes_without_objective_count_no_breaches(fault_client: FlaskClient) -> None:
    fault_client.get("/unmeasured/500/0.55")
    fault_client.get("/nothing")
    fault_client.options("/measured/500/0.0")

    assert breaches("unmeasured") == dict.fromkeys(KINDS)
    assert breaches("measured", "OPTIONS") == dict.fromkeys(KINDS)


def test_breach_counters_start_at_zero(environment: Mapping[str, str]) -> None:
    app = create_app(environment)

    @objective(objectives.READ)
    def unused() -> Response:
        return Response()

    app.add_url_rule("/unused", "unused", unused)
    objectives.index_objectives(app)

    labels = {"endpoint": "/unused", "method": "GET"}
    assert [REGISTRY.get_sample_value(f"api_slo_{kind}_breach_total", labels) for kind in KINDS] == [0, 0, 0]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("GET /api/v2/users/me", Objective(0.3, 0.01, 0.99)),
        ("POST /api/v1/auth/login", Objective(0.5, 0.02, 0.995)),
        ("POST /api/v1/auth/register", Objective(1.0, 0.01, 0.99)),
        ("GET /health", Objective(0.1, 0.01, 0.999)),
        ("GET /ready", Objective(0.2, 0.01, 0.999)),
    ],
)
def test_objectives_have_the_agreed_values(app: Flask, route: str, expected: Objective) -> None:
    method, _, rule = route.partition(" ")

    assert objectives.objectives_of(app)[method, rule] == expected
