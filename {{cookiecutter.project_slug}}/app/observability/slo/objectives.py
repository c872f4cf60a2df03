"""Objectives of routes, and the counts of the promises that answers broke.

A client's mistake (4xx) is answered as it should be, and so is no breach; a request that was refused for its rate (429)
is counted neither for nor against the service. What a good answer is follows the SRE Workbook, chapter 2 (availability
and latency of request-driven services); `app.observability.slo.rules` says how the counts become alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask
from prometheus_client import Counter

View = TypeVar("View", bound=Callable[..., Any])
Route = tuple[str, str]  # method and rule

ROUTE = ["method", "endpoint"]
LATENCY = Counter("api_slo_latency_breach_total", "Answers that took longer than their route's p95 objective", ROUTE)
ERRORS = Counter("api_slo_error_breach_total", "Answers that failed for a fault of the service: 5xx but 503", ROUTE)
AVAILABILITY = Counter("api_slo_availability_breach_total", "Requests that were not served: answered 5xx", ROUTE)

# Numbers, since members of HTTPStatus take six times as long to compare, and every request does.
REFUSED, FAULT, UNAVAILABLE = 429, 500, 503
UNASKED = {"HEAD", "OPTIONS"}  # Flask answers these by itself; nobody declared them


@dataclass(frozen=True)
class Objective:
    """What callers of a route may count on, over any thirty days.

    `latency`: seconds within which 95 of 100 requests are answered, up to the answer's first byte. `errors`: the share
    of requests that may fail for a fault of the service (any 5xx but 503). `availability`: the share of requests that
    has to be served, which is to say answered with anything but a 5xx; 503 says that something was away which the
    service needs.
    """

    latency: float
    errors: float = 0.01
    availability: float = 0.99


LIST = Objective(0.5)
READ = Objective(0.3)
CREATE = Objective(0.5)
CHANGE = Objective(0.5)
LOGIN = Objective(0.5, errors=0.02, availability=0.995)
REGISTER = Objective(1.0)
START = Objective(0.5)
STATUS = Objective(0.2)
HEALTH = Objective(0.1, availability=0.999)
READY = Objective(0.2, availability=0.999)


def objective(promised: Objective) -> Callable[[View], View]:
    """Hold a route to an objective."""

    def mark(view: View) -> View:
        view.objective = promised  # type: ignore[attr-defined]
        return view

    return mark


def no_objective(reason: str) -> Callable[[View], View]:
    """Promise nothing for a route, because of `reason`."""

    def mark(view: View) -> View:
        view.objective = None  # type: ignore[attr-defined]
        view.no_objective_reason = reason  # type: ignore[attr-defined]
        return view

    return mark


def look_up(app: Flask) -> None:
    """Keep every route's objective at hand, and begin its counts at zero; to be called when all routes are there.

    A counter that first appears with its first breach would hide that breach from Prometheus's `rate()`.
    """
    app.extensions["objectives"] = {
        (method, rule.rule): promised
        for rule in app.url_map.iter_rules()
        if (promised := getattr(app.view_functions[rule.endpoint], "objective", None))
        for method in sorted((rule.methods or set()) - UNASKED)
    }
    for route in objectives_of(app):
        for breaches in (LATENCY, ERRORS, AVAILABILITY):
            breaches.labels(*route)


def objectives_of(app: Flask) -> Mapping[Route, Objective]:
    """Every route that has an objective, with it."""
    found: Mapping[Route, Objective] = app.extensions["objectives"]
    return found


def count_breaches(app: Flask, route: Route, status: int, seconds: float) -> None:
    """Count the promises that an answer broke: in most cases none."""
    promised = objectives_of(app).get(route)
    if promised is None or status == REFUSED:
        return
    if seconds > promised.latency:
        LATENCY.labels(*route).inc()
    if status >= FAULT:
        AVAILABILITY.labels(*route).inc()
        if status != UNAVAILABLE:
            ERRORS.labels(*route).inc()
