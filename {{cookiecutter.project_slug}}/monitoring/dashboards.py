"""The Grafana dashboards, for the engineer on call."""

from __future__ import annotations

from monitoring import alerts
from monitoring.burn_rates import FAST, INDICATORS, Indicator
from monitoring.panels import NUMBER, PER_SECOND, RATIO, SECONDS, Dashboard, Json, Panel, Query, as_json
from monitoring.promql import FIRING_ALERTS, WORKER, histogram_quantile, max_by, min_by, rate, selector, sum_by

WINDOW = "$__rate_interval"
SELECTED_ROUTES = 'endpoint=~"$endpoint"'
SERVER_ERROR, UNAVAILABLE = 'status=~"5.."', 'status="503"'
ROUTE = ("method", "endpoint")
METHOD_AND_ENDPOINT = ", ".join(ROUTE)
PROFILED = "Measured only with ENABLE_DB_PROFILING=true."


def dashboards() -> dict[str, Json]:
    """Return every dashboard by its uid, which is also the name of its file."""
    declared = {"service": service(), "slo": objectives(), "celery": celery(), "database": database(), "cache": cache()}
    return {uid: as_json(uid, dashboard) for uid, dashboard in declared.items()}


def _requests(labels: str, *matchers: str) -> str:
    return sum_by(labels, rate("http_requests_total", SELECTED_ROUTES, *matchers, window=WINDOW))


def _latency(quantile: float, labels: str) -> str:
    return histogram_quantile(quantile, "http_request_duration_seconds", labels, SELECTED_ROUTES, window=WINDOW)


def _or_zero(expr: str) -> str:
    """Return the expression with zero instead of no result, so that the panel is not empty."""
    return f"{expr} or vector(0)"


def service() -> Dashboard:
    """Rate, errors and duration of each route (Wilkie's RED method)."""
    errors = f"({_or_zero(_requests('', SERVER_ERROR))}) / {_requests('')}"
    errors_by_route = selector("slo:breaches:ratio_rate5m", 'slo="availability"', SELECTED_ROUTES)
    in_progress = sum_by(METHOD_AND_ENDPOINT, selector("http_requests_in_progress", SELECTED_ROUTES))
    rate_limited = sum_by("limit", rate("rate_limit_refused_total", window=WINDOW))
    percentiles = [Query(_latency(p / 100, "job"), name=f"p{p}") for p in (50, 95, 99)]
    return Dashboard(
        "Service",
        [
            Panel("Request rate", PER_SECOND, [Query(_requests("job"))], kind="stat", width=6),
            Panel("5xx ratio", RATIO, [Query(errors)], kind="stat", width=6, limit=0.01),
            Panel("p95 latency", SECONDS, [Query(_latency(0.95, "job"))], kind="stat", width=6),
            Panel("Firing alerts", NUMBER, [Query(_or_zero(f"count({FIRING_ALERTS})"))], kind="stat", width=6, limit=1),
            Panel("Request rate by route", PER_SECOND, [Query(_requests(METHOD_AND_ENDPOINT), ROUTE)]),
            Panel("Request rate by status", PER_SECOND, [Query(_requests("status"), ("status",))]),
            Panel("5xx ratio by route", RATIO, [Query(errors_by_route, ROUTE)]),
            Panel("p95 latency by route", SECONDS, [Query(_latency(0.95, METHOD_AND_ENDPOINT), ROUTE)]),
            Panel("Latency percentiles", SECONDS, percentiles),
            Panel("Requests in progress", NUMBER, [Query(in_progress, ROUTE)]),
            Panel("Rate-limited requests", PER_SECOND, [Query(rate_limited, ("limit",))]),
            Panel("Web containers up", NUMBER, [Query(selector("up"), ("instance",))]),
        ],
        by_route=True,
    )


def _burn_rate(window: str) -> Query:
    ratio = selector(f"slo:breaches:ratio_rate{window}", SELECTED_ROUTES)
    return Query(f"topk(10, {ratio} / {selector('slo:budget:ratio', SELECTED_ROUTES)})", ("slo", *ROUTE))


def _breaches(indicator: Indicator) -> Query:
    return Query(sum_by("job", rate(indicator.counter, SELECTED_ROUTES, window=WINDOW)), name=indicator.slo)


def objectives() -> Dashboard:
    """The remaining budget of each route, and its burn rate."""
    one_hour, six_hours = FAST
    left = Query(f"bottomk(20, {selector('slo:budget_left:ratio', SELECTED_ROUTES)})", ("slo", *ROUTE))
    p95 = selector("slo:request_duration_seconds:p95_5m", SELECTED_ROUTES)
    relative_p95 = Query(f"topk(10, {p95} / {selector('slo:latency_objective:seconds', SELECTED_ROUTES)})", ROUTE)
    firing = Query(_or_zero(sum_by("alertname", FIRING_ALERTS)), ("alertname",))
    paging = (
        f"An alert pages the engineer on call if the rate is above the line here and over the last {one_hour.short}."
    )
    return Dashboard(
        "Service level objectives",
        [
            Panel("Budget left of 30 days", RATIO, [left], kind="bargauge", limit=0.25, limit_is_minimum=True),
            Panel("Firing alerts by name", NUMBER, [firing]),
            Panel(
                f"Burn rate over {one_hour.long}",
                NUMBER,
                [_burn_rate(one_hour.long)],
                limit=one_hour.rate,
                about=paging,
            ),
            Panel(f"Burn rate over {six_hours.long}", NUMBER, [_burn_rate(six_hours.long)], limit=six_hours.rate),
            Panel("Burn rate over 3d", NUMBER, [_burn_rate("3d")], limit=1, about="Above 1, the budget does not last."),
            Panel("p95 latency as a share of the objective", RATIO, [relative_p95], limit=1),
            Panel("Breaches of objectives", PER_SECOND, [_breaches(indicator) for indicator in INDICATORS], width=24),
        ],
        by_route=True,
    )


def celery() -> Dashboard:
    """Queues, outcomes and durations of background tasks."""

    def task_rate(counter: str, *labels: str) -> Query:
        return Query(sum_by(", ".join(labels), rate(counter, window=WINDOW, job=WORKER)), labels)

    def p95(histogram: str) -> Query:
        return Query(histogram_quantile(0.95, histogram, "task", window=WINDOW, job=WORKER), ("task",))

    waiting = Query(max_by("queue", selector("celery_queue_length")), ("queue",))
    unacknowledged = Query(max_by("job", selector("celery_unacknowledged_tasks")))
    heartbeat = Query(min_by("job", selector(alerts.HEARTBEAT_AGE)))
    return Dashboard(
        "Background tasks",
        [
            Panel("Queue length", NUMBER, [waiting], limit=alerts.MAX_QUEUE_LENGTH),
            Panel("Unacknowledged tasks", NUMBER, [unacknowledged]),
            Panel("Finished runs by state", PER_SECOND, [task_rate("celery_tasks_total", "task", "state")]),
            Panel("Retries", PER_SECOND, [task_rate("celery_task_retries_total", "task")]),
            Panel("p95 queue wait", SECONDS, [p95("celery_task_wait_seconds")]),
            Panel("p95 run time", SECONDS, [p95("celery_task_duration_seconds")]),
            Panel("Age of the last heartbeat", SECONDS, [heartbeat], limit=alerts.MAX_HEARTBEAT_AGE_SECONDS),
            Panel("Workers up", NUMBER, [Query(selector("up", job=WORKER), ("instance",))]),
        ],
    )


def database() -> Dashboard:
    """Connections of the pools, and queries of requests."""

    def queries(percentile: int) -> Query:
        expr = histogram_quantile(percentile / 100, "db_queries_per_request", "job", window=WINDOW)
        return Query(expr, name=f"p{percentile}")

    connections = Query(sum_by("state", selector("db_pool_connections")), ("state",))
    size = Query(sum_by("job", selector("db_pool_size")), name="pool size")
    timeouts = Query(sum_by("job", rate("db_pool_timeouts_total", window=WINDOW)))
    slow = Query(sum_by("job", rate("db_slow_queries_total", window=WINDOW)))
    unavailable = Query(_or_zero(sum_by("job", rate("http_requests_total", UNAVAILABLE, window=WINDOW))))
    return Dashboard(
        "Database",
        [
            Panel("Connections", NUMBER, [connections, size]),
            Panel("Pool timeouts", PER_SECOND, [timeouts], limit=0.001),
            Panel("Queries per request", NUMBER, [queries(50), queries(95)], about=PROFILED),
            Panel("Slow queries", PER_SECOND, [slow], about=PROFILED),
            Panel("503 responses", PER_SECOND, [unavailable]),
        ],
    )


def cache() -> Dashboard:
    """Hit rates of the caches, and the effects of an unavailable Redis."""
    hit_rate = Query(max_by("cache", selector("cache_hit_ratio")), ("cache",))
    lookups = Query(sum_by("cache, result", rate("cache_requests_total", window=WINDOW)), ("cache", "result"))
    bypasses = Query(sum_by("cache", rate("cache_requests_total", 'result="bypass"', window=WINDOW)), ("cache",))
    fallback = Query(sum_by("job", rate("rate_limit_fallback_total", window=WINDOW)))
    return Dashboard(
        "Cache",
        [
            Panel("Hit rate since startup", RATIO, [hit_rate], limit=alerts.MIN_HIT_RATE, limit_is_minimum=True),
            Panel("Lookups by result", PER_SECOND, [lookups]),
            Panel("Bypasses (Redis unavailable)", PER_SECOND, [bypasses]),
            Panel("Rate limits counted per process (Redis unavailable)", PER_SECOND, [fallback], limit=0.001),
        ],
    )
