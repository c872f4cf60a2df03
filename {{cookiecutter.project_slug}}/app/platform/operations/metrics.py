"""Prometheus metrics of all web processes of a container.

Each process writes to its own files, and the process that is scraped adds them up (`multiprocess_metrics`).
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

from app.platform.api.rate_limits import no_rate_limit
from app.platform.database.pool_metrics import add_idle_connections
from app.platform.redis.cache import hit_ratios
from app.platform.security.access import operators_or_private_network
from app.platform.telemetry import multiprocess_metrics
from app.platform.telemetry.gauges import collect_gauges
from app.platform.telemetry.objectives import count_breaches, no_objective
from app.platform.web.request_state import RequestMetrics, current_request, request_state

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds

LABELS = ["method", "endpoint", "status"]
DURATION_NAME = "http_request_duration_seconds"
DURATION = Histogram(DURATION_NAME, "Duration of requests in seconds", LABELS, buckets=BUCKETS)
IN_PROGRESS = Gauge(
    "http_requests_in_progress", "Requests in progress", ["method", "endpoint"], multiprocess_mode="livesum"
)

blueprint = Blueprint("metrics", __name__)


def init_app(app: Flask) -> None:
    """Count every request, and serve `/metrics`."""
    app.before_request(_start_request)
    app.after_request(partial(_observe_request, app))
    app.teardown_request(_finish_request)
    app.register_blueprint(blueprint)


def _labels() -> tuple[str, str]:
    """Return the method and the route rule; callers cannot create other label values."""
    current = current_request()
    method = current.method if current.method in METHODS else "OTHER"
    return method, current.url_rule.rule if current.url_rule else UNMATCHED


def _start_request() -> None:
    labels = _labels()
    in_progress = _in_progress(*labels)
    request_state().metrics = RequestMetrics(labels, in_progress, time.perf_counter())
    in_progress.inc()


def _observe_request(app: Flask, response: Response) -> Response:
    if metrics := request_state().metrics:
        seconds, status = time.perf_counter() - metrics.started_at, response.status_code
        _duration(*metrics.labels, str(status)).observe(seconds)
        count_breaches(app, metrics.labels, status, seconds)
    return response


@cache  # few values, each looked up with every request; nosemgrep: unbounded-cache
def _in_progress(*labels: str) -> Gauge:
    return IN_PROGRESS.labels(*labels)


@cache  # likewise; nosemgrep: unbounded-cache
def _duration(*labels: str) -> Histogram:
    return DURATION.labels(*labels)


def _finish_request(_error: BaseException | None) -> None:
    state = request_state()
    if state.metrics:
        state.metrics.in_progress.dec()
        state.metrics = None


@blueprint.get("/metrics")
@blueprint.get("/prometheus/metrics-http", endpoint="metrics_alias")
@no_rate_limit("Prometheus scrapes it as long as the service runs")
@no_objective("Prometheus reads it; its `up` metric reports failures")
@operators_or_private_network
def metrics() -> Response:
    """Return the metrics of all web processes of this container, in Prometheus's text format."""
    return metrics_response(collect_gauges(current_app))


def metrics_response(gauges: Iterable[Metric] = ()) -> Response:
    """Return a response with the metrics of all processes, and additional gauges."""
    return Response(generate_latest(ServiceCollector(gauges)), content_type=CONTENT_TYPE_LATEST)


class ServiceCollector(Collector):
    """Collects the metrics of all processes, metrics computed from their sums, and additional gauges."""

    def __init__(self, gauges: Iterable[Metric]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """Return every metric of a scrape."""
        families = _process_metrics()
        add_idle_connections(families)
        return [*families, _request_counts(families), hit_ratios(families), *self._gauges]


def _request_counts(families: Iterable[Metric]) -> Metric:
    """Return the number of requests, taken from the histogram of durations: no second counter per request."""
    requests = CounterMetricFamily("http_requests", "Requests", labels=LABELS)
    for sample in (sample for family in families if family.name == DURATION_NAME for sample in family.samples):
        if sample.name.endswith("_count"):
            requests.add_metric([sample.labels[name] for name in LABELS], sample.value)
    return requests


def _process_metrics() -> list[Metric]:
    if not multiprocess_metrics.METRICS_DIR:
        return list(REGISTRY.collect())
    return list(MultiProcessCollector.merge(multiprocess_metrics.metric_files(multiprocess_metrics.METRICS_DIR)))
