"""Prometheus metrics, counted over all web processes together.

Each process writes its numbers to files of its own, and whichever is scraped adds them up; `slots.py` says how the
files are named, and why nothing is lost with a process.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache, partial

from flask import Blueprint, Flask, Response, current_app
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.cache import hit_ratios
from app.framework import asked, kept
from app.limits import unlimited
from app.observability import slots
from app.observability.gauges import ask_gauges
from app.observability.pool_metrics import add_idle
from app.observability.slo.objectives import count_breaches, no_objective
from app.security.access import operators_or_neighbours

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds

LABELS = ["method", "endpoint", "status"]
DURATION_NAME = "http_request_duration_seconds"
DURATION = Histogram(DURATION_NAME, "Seconds to answer a request", LABELS, buckets=BUCKETS)
IN_PROGRESS = Gauge(
    "http_requests_in_progress", "Requests being answered", ["method", "endpoint"], multiprocess_mode="livesum"
)

blueprint = Blueprint("metrics", __name__)


def init_app(app: Flask) -> None:
    """Count every request, and serve the numbers."""
    app.before_request(_begin)
    app.after_request(partial(_end, app))
    app.teardown_request(_leave)
    app.register_blueprint(blueprint)


def _labels() -> tuple[str, str]:
    """Method and route rule: few values, whatever callers make up."""
    it = asked()
    return it.method if it.method in METHODS else "OTHER", it.url_rule.rule if it.url_rule else UNMATCHED


def _begin() -> None:
    labels = _labels()
    in_progress = _in_progress(*labels)
    kept().metrics = (labels, in_progress, time.perf_counter())
    in_progress.inc()


def _end(app: Flask, response: Response) -> Response:
    labels, _, began = kept().metrics
    seconds, status = time.perf_counter() - began, response.status_code
    _duration(*labels, str(status)).observe(seconds)
    count_breaches(app, labels, status, seconds)
    return response


@cache  # there are few, and each is looked up with every request
def _in_progress(*labels: str) -> Gauge:
    return IN_PROGRESS.labels(*labels)


@cache
def _duration(*labels: str) -> Histogram:
    return DURATION.labels(*labels)


def _leave(_error: BaseException | None) -> None:
    if begun := kept().pop("metrics", None):
        _, in_progress, _ = begun
        in_progress.dec()


@blueprint.get("/metrics")
@blueprint.get("/prometheus/metrics-http", endpoint="metrics_alias")
@unlimited("scraped for as long as the service runs")
@no_objective("read by Prometheus, whose `up` tells")
@operators_or_neighbours
def metrics() -> Response:
    """The numbers of all processes of this service, in Prometheus's text format."""
    return as_text(ask_gauges(current_app))


def as_text(figures: Iterable[Metric] = ()) -> Response:
    """The counts of all processes, and further figures."""
    return Response(generate_latest(Scrape(figures)), content_type=CONTENT_TYPE_LATEST)


class Scrape(Collector):
    """The counts of all processes, what can only be told from them together, and figures that were asked for."""

    def __init__(self, figures: Iterable[Metric]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Everything that a scrape shows."""
        counts = _counted()
        add_idle(counts)
        return [*counts, _requests(counts), hit_ratios(counts), *self._figures]


def _requests(families: Iterable[Metric]) -> Metric:
    """How many requests were answered: as many as were timed, so that none has to be counted twice."""
    told = CounterMetricFamily("http_requests", "Requests answered", labels=LABELS)
    for sample in (sample for family in families if family.name == DURATION_NAME for sample in family.samples):
        if sample.name.endswith("_count"):
            told.add_metric([sample.labels[name] for name in LABELS], sample.value)
    return told


def _counted() -> list[Metric]:
    if not slots.FOLDER:
        return list(REGISTRY.collect())
    return list(MultiProcessCollector.merge(slots.written(slots.FOLDER)))
