"""Which answers break a promise, and which are counted."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from prometheus_client import REGISTRY

from app import create_app
from app.limits import unlimited
from app.observability.slo import objectives
from app.observability.slo.objectives import Objective, no_objective, objective
from app.security.access import public

pytestmark = pytest.mark.req("O3")

KINDS = ("latency", "error", "availability")


@pytest.fixture
def planted(environment: Mapping[str, str]) -> FlaskClient:
    """A service with routes that answer as they are asked to: one that promises, and one that does not."""
    app = create_app(environment)

    @objective(Objective(0.05))
    def promised(status: int, seconds: float) -> Response:
        time.sleep(seconds)
        return Response(status=status)

    @no_objective("planted")
    def free(status: int, seconds: float) -> Response:
        return promised(status, seconds)

    for view in (promised, free):
        marked = unlimited("planted")(public("planted")(view))
        app.add_url_rule(f"/{view.__name__}/<int:status>/<float:seconds>", view.__name__, marked)
    objectives.look_up(app)
    return app.test_client()


def breaches(route: str, method: str = "GET") -> dict[str, float | None]:
    labels = {"endpoint": f"/{route}/<int:status>/<float:seconds>", "method": method}
    return {kind: REGISTRY.get_sample_value(f"api_slo_{kind}_breach_total", labels) for kind in KINDS}


@pytest.mark.parametrize(
    ("status", "seconds", "broken"),
    [
        (200, 0.0, set()),
        (200, 0.06, {"latency"}),
        (404, 0.0, set()),
        (422, 0.06, {"latency"}),
        (429, 0.06, set()),
        (500, 0.0, {"error", "availability"}),
        (501, 0.06, {"error", "availability", "latency"}),
        (503, 0.0, {"availability"}),
    ],
)
def test_an_answer_breaks_what_it_breaks(planted: FlaskClient, status: int, seconds: float, broken: set[str]) -> None:
    before = breaches("promised")

    planted.get(f"/promised/{status}/{seconds}")

    after = breaches("promised")
    assert {kind for kind in KINDS if after[kind] != before[kind]} == broken


def test_an_exception_is_a_fault_of_the_service(environment: Mapping[str, str]) -> None:
    app = create_app(environment)
    app.testing = False

    @objective(objectives.READ)
    @unlimited("planted")
    @public("planted")
    def broken() -> Response:
        raise RuntimeError("on purpose")

    app.add_url_rule("/broken", "broken", broken)
    objectives.look_up(app)
    labels = {"endpoint": "/broken", "method": "GET"}
    before = REGISTRY.get_sample_value("api_slo_error_breach_total", labels) or 0

    assert app.test_client().get("/broken").status_code == 500
    assert REGISTRY.get_sample_value("api_slo_error_breach_total", labels) == before + 1


def test_a_route_that_promises_nothing_breaks_nothing(planted: FlaskClient) -> None:
    planted.get("/free/500/0.06")
    planted.get("/nothing")
    planted.options("/promised/500/0.0")

    assert breaches("free") == dict.fromkeys(KINDS)
    assert breaches("promised", "OPTIONS") == dict.fromkeys(KINDS)


def test_counts_begin_at_zero_so_that_the_first_breach_is_seen_as_a_rise(environment: Mapping[str, str]) -> None:
    app = create_app(environment)

    @objective(objectives.READ)
    def never_asked() -> Response:
        return Response()

    app.add_url_rule("/never-asked", "never_asked", never_asked)
    objectives.look_up(app)

    labels = {"endpoint": "/never-asked", "method": "GET"}
    assert [REGISTRY.get_sample_value(f"api_slo_{kind}_breach_total", labels) for kind in KINDS] == [0, 0, 0]


@pytest.mark.parametrize(
    ("route", "promised"),
    [
        ("GET /api/v1/locations", Objective(0.5, 0.01, 0.99)),
        ("POST /api/v1/locations", Objective(0.5, 0.01, 0.99)),
        ("GET /api/v2/users/me", Objective(0.3, 0.01, 0.99)),
        ("POST /api/v1/auth/login", Objective(0.5, 0.02, 0.995)),
        ("POST /api/v1/auth/register", Objective(1.0, 0.01, 0.99)),
        ("POST /api/v1/data-files/<int:file_id>/tests", Objective(0.5, 0.01, 0.99)),
        ("GET /api/v1/tests/<int:run_id>", Objective(0.2, 0.01, 0.99)),
        ("GET /health", Objective(0.1, 0.01, 0.999)),
        ("GET /ready", Objective(0.2, 0.01, 0.999)),
    ],
)
def test_the_promises_are_those_that_were_agreed(app: Flask, route: str, promised: Objective) -> None:
    method, _, rule = route.partition(" ")

    assert objectives.objectives_of(app)[method, rule] == promised
