"""Prometheus's rules: recording rules for the objectives of each route, and alerting rules."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.platform.telemetry.alerts import Alert, template_variable
from app.platform.telemetry.objectives import Route
from app.platform.web.route_policy import Objective
from monitoring.alerts import PLATFORM_ALERTS
from monitoring.burn_rates import FAST_BURN_ALERTS, INDICATORS, SLOW_BURN_ALERTS, Indicator
from monitoring.promql import BY_ROUTE, histogram_quantile, max_by, rate, selector, sum_by

LATENCY_BUDGET = 0.05  # the latency of an objective is a p95
NOT_RATE_LIMITED = 'status!="429"'
SHORT_WINDOWS, LONG_WINDOWS = ("5m", "30m", "1h"), ("2h", "6h", "1d", "3d")
# Long windows change slowly and are expensive. Less than 5m: after that, Prometheus treats a value as stale.
LONG_INTERVAL = "2m"
VERSION_PREFIX = re.compile(r"^/api/(v\d+/)?")

Rule = dict[str, Any]
Group = dict[str, Any]


def rule_file(objectives: Mapping[Route, Objective], feature_alerts: Iterable[Alert]) -> dict[str, list[Group]]:
    """Return the content of Prometheus's rule file; it has no group of features if they declare no alerts."""
    groups: list[Group] = [
        {"name": "objectives", "rules": list(_objectives(objectives))},
        {"name": "short windows", "rules": [*_breach_ratios(SHORT_WINDOWS), _p95_latency()]},
        {"name": "long windows", "interval": LONG_INTERVAL, "rules": [*_breach_ratios(LONG_WINDOWS), _budget_left()]},
        {"name": "fast burns", "rules": list(map(_alert, FAST_BURN_ALERTS))},
        {"name": "slow burns", "interval": LONG_INTERVAL, "rules": list(map(_alert, SLOW_BURN_ALERTS))},
        {"name": "platform", "rules": list(map(_alert, PLATFORM_ALERTS))},
        {"name": "features", "rules": list(map(_alert, feature_alerts))},
    ]
    return {"groups": [group for group in groups if group["rules"]]}


def _record(name: str, expr: str, **labels: str) -> Rule:
    return {"record": name, **({"labels": labels} if labels else {}), "expr": expr}


def _objectives(objectives: Mapping[Route, Objective]) -> Iterable[Rule]:
    budgets: dict[str, Callable[[Objective], float]] = {
        "latency": lambda _: LATENCY_BUDGET,
        "error": lambda objective: objective.errors,
        "availability": lambda objective: round(1 - objective.availability, 6),
    }
    for indicator in INDICATORS:
        values = {route: budgets[indicator.slo](objective) for route, objective in objectives.items()}
        yield _record("slo:budget:ratio", _value_by_route(values, indicator.counter), slo=indicator.slo)
    seconds = {route: objective.latency for route, objective in objectives.items()}
    yield _record("slo:latency_objective:seconds", _value_by_route(seconds, "api_slo_latency_breach_total"))


def _value_by_route(values: Mapping[Route, float], counter: str) -> str:
    """Return an expression with a value for each route: the most common value is the default, others name routes."""
    (default, _), *_ = Counter(values.values()).most_common(1)
    routes: dict[tuple[float, str], list[str]] = defaultdict(list)
    for (method, rule), value in values.items():
        if value != default:
            routes[value, method].append(rule)
    named = [
        _constant(value, counter, f'method="{method}"', f'endpoint=~"{_route_regex(rules)}"')
        for (value, method), rules in sorted(routes.items())
    ]
    return "\nor ".join([*named, _constant(default, counter)])


def _constant(value: float, counter: str, *matchers: str) -> str:
    return f"{value} + 0 * {max_by(BY_ROUTE, selector(counter, *matchers))}"


def _route_regex(rules: Iterable[str]) -> str:
    """Return a regex for these rules under any version of the API, and without a version."""
    return "|".join(dict.fromkeys(VERSION_PREFIX.sub("/api(/v[0-9]+)?/", rule) for rule in sorted(rules)))


def _breach_ratios(windows: Iterable[str]) -> Iterable[Rule]:
    for window in windows:
        requests = sum_by(BY_ROUTE, rate("http_requests_total", NOT_RATE_LIMITED, window=window))
        yield _record(f"slo:requests:rate{window}", requests)
        for indicator in INDICATORS:
            yield _record(f"slo:breaches:ratio_rate{window}", _breach_ratio(indicator, window), slo=indicator.slo)


def _breach_ratio(indicator: Indicator, window: str) -> str:
    """Return breaches per request, at most 1: the first response with a new status can briefly cause more."""
    breaches = sum_by(BY_ROUTE, rate(indicator.counter, window=window))
    return f"clamp_max({breaches} / (slo:requests:rate{window} > 0), 1)"


def _p95_latency() -> Rule:
    p95 = histogram_quantile(0.95, "http_request_duration_seconds", BY_ROUTE, NOT_RATE_LIMITED, window="5m")
    return _record("slo:request_duration_seconds:p95_5m", p95)


def _budget_left() -> Rule:
    """Return the rule for the remaining share of the budget of 30 days, weighted by requests; negative if overspent."""
    join = f"on ({BY_ROUTE}) group_left ()"
    breaches = f"sum_over_time((slo:breaches:ratio_rate5m * {join} slo:requests:rate5m)[30d:5m])"
    requests = "sum_over_time(slo:requests:rate5m[30d:5m])"
    return _record("slo:budget_left:ratio", f"1 - {breaches} / {join} ({requests} > 0) / slo:budget:ratio")


def _alert(alert: Alert) -> Rule:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({"for": alert.for_} if alert.for_ else {}),
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{template_variable('$externalLabels.runbook')}#{alert.name.lower()}",
        },
    }
