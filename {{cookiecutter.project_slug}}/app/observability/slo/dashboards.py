"""Grafana's dashboards, for whoever was just woken up."""

from __future__ import annotations

from app.observability.slo import alerts
from app.observability.slo.alerts import FAST, INDICATORS
from app.observability.slo.panels import NUMBER, PER_SECOND, RATIO, SECONDS, Dashboard, Json, Panel, Query, as_json
from app.observability.slo.promql import WORKER, highest, lowest, quantile, rate, series, total

LATELY = "$__rate_interval"
CHOSEN = 'endpoint=~"$endpoint"'
FAILED, UNAVAILABLE = 'status=~"5.."', 'status="503"'
ROUTE = ("method", "endpoint")
BY_ROUTE = ", ".join(ROUTE)
FIRING = 'ALERTS{alertstate="firing"}'
PROFILED = "Counted while ENABLE_DB_PROFILING is on."


def dashboards() -> dict[str, Json]:
    """Every dashboard by the name of its file, which is its uid."""
    made = {"service": service(), "slo": budgets(), "celery": celery(), "database": database(), "cache": cache()}
    return {name: as_json(name, dashboard) for name, dashboard in made.items()}


def _requests(labels: str, *matchers: str) -> str:
    return total(labels, rate("http_requests_total", CHOSEN, *matchers, over=LATELY))


def _within(share: float, labels: str) -> str:
    return quantile(share, "http_request_duration_seconds", labels, CHOSEN, over=LATELY)


def _or_none(query: str) -> str:
    """Show zero instead of nothing, where nothing is good news."""
    return f"{query} or vector(0)"


def service() -> Dashboard:
    """Rate, errors and duration of each route (Wilkie's RED method)."""
    failed = f"({_or_none(_requests('', FAILED))}) / {_requests('')}"
    failed_by_route = series("slo:breaches:ratio_rate5m", 'slo="availability"', CHOSEN)
    refused = total("limit", rate("rate_limit_refused_total", over=LATELY))
    return Dashboard(
        "Service",
        [
            Panel("Requests", PER_SECOND, [Query(_requests("job"))], kind="stat", width=6),
            Panel("Failed", RATIO, [Query(failed)], kind="stat", width=6, limit=0.01),
            Panel("95 of 100 answered within", SECONDS, [Query(_within(0.95, "job"))], kind="stat", width=6),
            Panel("Alerts", NUMBER, [Query(_or_none(f"count({FIRING})"))], kind="stat", width=6, limit=1),
            Panel("Requests by route", PER_SECOND, [Query(_requests(BY_ROUTE), ROUTE)]),
            Panel("Requests by status", PER_SECOND, [Query(_requests("status"), ("status",))]),
            Panel("Failed by route", RATIO, [Query(failed_by_route, ROUTE)]),
            Panel("95 of 100 answered within, by route", SECONDS, [Query(_within(0.95, BY_ROUTE), ROUTE)]),
            Panel("Answered within", SECONDS, [Query(_within(p, "job"), name=f"{p:.0%}") for p in (0.5, 0.95, 0.99)]),
            Panel("In progress", NUMBER, [Query(total(BY_ROUTE, series("http_requests_in_progress", CHOSEN)), ROUTE)]),
            Panel("Refused for their rate", PER_SECOND, [Query(refused, ("limit",))]),
            Panel("Web containers that answer", NUMBER, [Query(series("up"), ("instance",))]),
        ],
        by_route=True,
    )


def _burning(window: str) -> Query:
    burn = f"{series(f'slo:breaches:ratio_rate{window}', CHOSEN)} / {series('slo:budget:ratio', CHOSEN)}"
    return Query(f"topk(10, {burn})", ("slo", *ROUTE))


def _breaches(indicator: alerts.Indicator) -> Query:
    return Query(total("job", rate(indicator.counter, CHOSEN, over=LATELY)), name=indicator.slo)


def budgets() -> Dashboard:
    """What is left of each route's budget, and how fast it goes."""
    hour, hours = FAST
    left = Query(f"bottomk(20, {series('slo:budget_left:ratio', CHOSEN)})", ("slo", *ROUTE))
    p95, promised = "slo:request_duration_seconds:p95_5m", "slo:latency_objective:seconds"
    slowness = Query(f"topk(10, {series(p95, CHOSEN)} / {series(promised, CHOSEN)})", ROUTE)
    firing = Query(_or_none(total("alertname", FIRING)), ("alertname",))
    called = f"Somebody is called above the line, if the last {hour.short} are above it too."
    return Dashboard(
        "Service level objectives",
        [
            Panel("Left of thirty days' budget", RATIO, [left], kind="bargauge", limit=0.25, too_low=True),
            Panel("Alerts", NUMBER, [firing]),
            Panel(f"Burn rate over {hour.long}", NUMBER, [_burning(hour.long)], limit=hour.rate, about=called),
            Panel(f"Burn rate over {hours.long}", NUMBER, [_burning(hours.long)], limit=hours.rate),
            Panel("Burn rate over 3d", NUMBER, [_burning("3d")], limit=1, about="Above 1 the budget does not last."),
            Panel("p95, as a share of its objective", RATIO, [slowness], limit=1),
            Panel("Breaches", PER_SECOND, [_breaches(indicator) for indicator in INDICATORS], width=24),
        ],
        by_route=True,
    )


def celery() -> Dashboard:
    """Whether background work is done, how soon, and with what outcome."""

    def by_task(counter: str, *labels: str) -> Query:
        return Query(total(", ".join(labels), rate(counter, over=LATELY, job=WORKER)), labels)

    def within(histogram: str) -> Query:
        return Query(quantile(0.95, histogram, "task", over=LATELY, job=WORKER), ("task",))

    heartbeat = Query(lowest("job", series(alerts.HEARTBEAT_AGE)))
    return Dashboard(
        "Background tasks",
        [
            Panel(
                "Waiting",
                NUMBER,
                [Query(highest("queue", series("celery_queue_length")), ("queue",))],
                limit=alerts.QUEUE_LENGTH,
            ),
            Panel("In the hands of workers", NUMBER, [Query(highest("job", series("celery_unacknowledged_tasks")))]),
            Panel("Ended", PER_SECOND, [by_task("celery_tasks_total", "task", "state")]),
            Panel("Tried again", PER_SECOND, [by_task("celery_task_retries_total", "task")]),
            Panel("95 of 100 begun within", SECONDS, [within("celery_task_wait_seconds")]),
            Panel("95 of 100 done within", SECONDS, [within("celery_task_duration_seconds")]),
            Panel("Age of the last heartbeat", SECONDS, [heartbeat], limit=alerts.HEARTBEAT_SECONDS),
            Panel("Workers that answer", NUMBER, [Query(series("up", job=WORKER), ("instance",))]),
        ],
    )


def database() -> Dashboard:
    """Whether connections suffice, and what requests do with them."""

    def statements(share: float) -> Query:
        return Query(quantile(share, "db_queries_per_request", "job", over=LATELY), name=f"{share:.0%}")

    connections = Query(total("state", series("db_pool_connections")), ("state",))
    size = Query(total("job", series("db_pool_size")), name="kept open at most")
    timeouts = Query(total("job", rate("db_pool_timeouts_total", over=LATELY)))
    slow = Query(total("job", rate("db_slow_queries_total", over=LATELY)))
    unavailable = Query(_or_none(total("job", rate("http_requests_total", UNAVAILABLE, over=LATELY))))
    return Dashboard(
        "Database",
        [
            Panel("Connections", NUMBER, [connections, size]),
            Panel("Waits for a connection that were given up", PER_SECOND, [timeouts], limit=0.001),
            Panel("Statements of a request", NUMBER, [statements(0.5), statements(0.95)], about=PROFILED),
            Panel("Slow statements", PER_SECOND, [slow], about=PROFILED),
            Panel("Answered 503", PER_SECOND, [unavailable]),
        ],
    )


def cache() -> Dashboard:
    """What the caches find, and whether Redis answers."""
    found = Query(highest("cache", series("cache_hit_ratio")), ("cache",))
    results = Query(total("cache, result", rate("cache_requests_total", over=LATELY)), ("cache", "result"))
    bypassed = Query(total("cache", rate("cache_requests_total", 'result="bypass"', over=LATELY)), ("cache",))
    fallback = Query(total("job", rate("rate_limit_fallback_total", over=LATELY)))
    return Dashboard(
        "Cache",
        [
            Panel("Found, since the start", RATIO, [found], limit=alerts.CACHE_HIT_RATE, too_low=True),
            Panel("Asked for", PER_SECOND, [results]),
            Panel("Passed by, as Redis did not answer", PER_SECOND, [bypassed]),
            Panel("Limits counted per process, as Redis did not answer", PER_SECOND, [fallback], limit=0.001),
        ],
    )
