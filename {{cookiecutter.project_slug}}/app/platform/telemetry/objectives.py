"""Service level objectives of routes, and the counters of breaches.

A client error (4xx) is no breach. Breaches and the generated rules exclude requests rejected by a rate limit (429).
Definitions follow the SRE Workbook, chapter 2 (availability and latency of request-driven services). `monitoring`
generates the alerts from these counters.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import Flask
from prometheus_client import Counter

from app.platform.components import platform_of
from app.platform.web.route_policy import Objective, View, policy_of

Route = tuple[str, str]  # method and rule

ROUTE_LABELS = ["method", "endpoint"]
LATENCY = Counter(
    "api_slo_latency_breach_total", "Responses slower than the p95 objective of their route", ROUTE_LABELS
)
ERRORS = Counter("api_slo_error_breach_total", "Responses with 5xx except 503", ROUTE_LABELS)
AVAILABILITY = Counter("api_slo_availability_breach_total", "Responses with 5xx", ROUTE_LABELS)

IMPLICIT_METHODS = {"HEAD", "OPTIONS"}  # Flask adds these to every route

LIST = Objective(0.5)
READ = Objective(0.3)
CREATE = Objective(0.5)
UPDATE = Objective(0.5)


class Objectives(dict[Route, Objective]):
    """The objective of each route of one app that has one."""


def objective(value: Objective) -> Callable[[View], View]:
    """Set the objective of a route."""

    def decorate(view: View) -> View:
        policy_of(view).objective = value
        return view

    return decorate


def no_objective(reason: str) -> Callable[[View], View]:
    """Set no objective for a route, for this reason."""

    def decorate(view: View) -> View:
        policy_of(view).no_objective_reason = reason
        return view

    return decorate


def index_objectives(app: Flask) -> None:
    """Index the objectives by route and initialise the counters with zero; call it after all routes are registered.

    A counter that first appears with its first breach would hide that breach from Prometheus's `rate()`.
    """
    objectives = Objectives(
        {
            (method, rule.rule): value
            for rule in app.url_map.iter_rules()
            if (value := policy_of(app.view_functions[rule.endpoint]).objective)
            for method in sorted((rule.methods or set()) - IMPLICIT_METHODS)
        }
    )
    platform_of(app).add(objectives)
    for route in objectives:
        for breaches in (LATENCY, ERRORS, AVAILABILITY):
            breaches.labels(*route)


def objectives_of(app: Flask) -> Objectives:
    """Return the objectives of an app, by route."""
    return platform_of(app).get(Objectives)


def count_breaches(app: Flask, route: Route, status: int, seconds: float) -> None:
    """Count the objectives that a response breached."""
    value = objectives_of(app).get(route)
    if value is None or status == HTTPStatus.TOO_MANY_REQUESTS:
        return
    if seconds > value.latency:
        LATENCY.labels(*route).inc()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        AVAILABILITY.labels(*route).inc()
        if status != HTTPStatus.SERVICE_UNAVAILABLE:
            ERRORS.labels(*route).inc()
