"""Prometheus's rules: what is recorded of each route, and the alerts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.observability.slo.alerts import FAST_BURNS, INDICATORS, PLATFORM, SLOW_BURNS, Alert, Indicator
from app.observability.slo.objectives import Objective, Route
from app.observability.slo.promql import BY_ROUTE, highest, quantile, rate, series, text_of, total

LATENCY_BUDGET = 0.05  # an objective's latency is a p95
JUDGED = 'status!="429"'
SHORT, LONG = ("5m", "30m", "1h"), ("2h", "6h", "1d", "3d")
LONG_INTERVAL = "2m"  # they move slowly and cost much; less than the 5m for which Prometheus knows a value
VERSION = re.compile(r"^/api/(v\d+/)?")

Rule = dict[str, Any]
Group = dict[str, Any]


def rule_file(objectives: Mapping[Route, Objective]) -> dict[str, list[Group]]:
    """Everything that Prometheus is to record and to tell of these objectives."""
    return {
        "groups": [
            {"name": "objectives", "rules": list(_objectives(objectives))},
            {"name": "short windows", "rules": [*_windows(SHORT), _p95()]},
            {"name": "long windows", "interval": LONG_INTERVAL, "rules": [*_windows(LONG), _budget_left()]},
            {"name": "fast burns", "rules": list(map(_alert, FAST_BURNS))},
            {"name": "slow burns", "interval": LONG_INTERVAL, "rules": list(map(_alert, SLOW_BURNS))},
            {"name": "platform", "rules": list(map(_alert, PLATFORM))},
        ]
    }


def _record(name: str, query: str, **labels: str) -> Rule:
    return {"record": name, **({"labels": labels} if labels else {}), "expr": query}


def _objectives(objectives: Mapping[Route, Objective]) -> Iterable[Rule]:
    budgets: dict[str, Callable[[Objective], float]] = {
        "latency": lambda _: LATENCY_BUDGET,
        "error": lambda promised: promised.errors,
        "availability": lambda promised: round(1 - promised.availability, 6),
    }
    for indicator in INDICATORS:
        values = {route: budgets[indicator.slo](promised) for route, promised in objectives.items()}
        yield _record("slo:budget:ratio", _constants(values, indicator.counter), slo=indicator.slo)
    seconds = {route: promised.latency for route, promised in objectives.items()}
    yield _record("slo:latency_objective:seconds", _constants(seconds, "api_slo_latency_breach_total"))


def _constants(values: Mapping[Route, float], counter: str) -> str:
    """A value for each route that has a counter: those that differ by name, and the most common for all others."""
    (common, _), *_ = Counter(values.values()).most_common(1)
    routes: dict[tuple[float, str], list[str]] = defaultdict(list)
    for (method, rule), value in values.items():
        if value != common:
            routes[value, method].append(rule)
    named = [
        _constant(value, counter, f'method="{method}"', f'endpoint=~"{_pattern(rules)}"')
        for (value, method), rules in sorted(routes.items())
    ]
    return "\nor ".join([*named, _constant(common, counter)])


def _constant(value: float, counter: str, *matchers: str) -> str:
    return f"{value} + 0 * {highest(BY_ROUTE, series(counter, *matchers))}"


def _pattern(rules: Iterable[str]) -> str:
    """Match these rules under any version of the API, and under none."""
    return "|".join(dict.fromkeys(VERSION.sub("/api(/v[0-9]+)?/", rule) for rule in sorted(rules)))


def _windows(windows: Iterable[str]) -> Iterable[Rule]:
    for window in windows:
        requests = total(BY_ROUTE, rate("http_requests_total", JUDGED, over=window))
        yield _record(f"slo:requests:rate{window}", requests)
        for indicator in INDICATORS:
            yield _record(f"slo:breaches:ratio_rate{window}", _share(indicator, window), slo=indicator.slo)


def _share(indicator: Indicator, window: str) -> str:
    """Breaches per request; never above 1, which a status that was just seen first can lead to for a moment."""
    breaches = total(BY_ROUTE, rate(indicator.counter, over=window))
    return f"clamp_max({breaches} / (slo:requests:rate{window} > 0), 1)"


def _p95() -> Rule:
    p95 = quantile(0.95, "http_request_duration_seconds", BY_ROUTE, JUDGED, over="5m")
    return _record("slo:request_duration_seconds:p95_5m", p95)


def _budget_left() -> Rule:
    """The share of thirty days' budget that is left, each hour weighed by its requests; negative when overdrawn."""
    join = f"on ({BY_ROUTE}) group_left ()"
    breaches = f"sum_over_time((slo:breaches:ratio_rate5m * {join} slo:requests:rate5m)[30d:5m])"
    requests = "sum_over_time(slo:requests:rate5m[30d:5m])"
    return _record("slo:budget_left:ratio", f"1 - {breaches} / {join} ({requests} > 0) / slo:budget:ratio")


def _alert(alert: Alert) -> Rule:
    return {
        "alert": alert.name,
        "expr": alert.query,
        **({"for": alert.wait} if alert.wait else {}),
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{text_of('$externalLabels.runbook')}#{alert.name.lower()}",
        },
    }
