"""Each alert fires when it should and is quiet when it should be, by promtool's own account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from app.observability.slo.alerts import ALERTS, FAST_BURNS, INDICATORS, PLATFORM, SLOW_BURNS, Alert, Indicator
from app.observability.slo.objectives import objectives_of
from tests.monitoring.burns import BURNINGS, Burning
from tests.monitoring.conftest import RULES
from tests.monitoring.platform import CASES
from tests.servers.prometheus import run_tool

pytestmark = pytest.mark.running

RUNBOOK = "https://example.org/runbook"
BUDGETS = {"latency": 0.05, "error": 0.01, "availability": 0.01}  # of a route with no figures of its own
BY_NAME = {alert.name: alert for alert in ALERTS}

Group = dict[str, Any]


def group(name: str, series: Mapping[str, str], expected: Sequence[Group]) -> Group:
    """A part of promtool's test file."""
    return {
        "name": name,
        "interval": "1m",
        "external_labels": {"runbook": RUNBOOK},
        "input_series": _series(series),
        "alert_rule_test": expected,
    }


def _series(series: Mapping[str, str]) -> list[Group]:
    return [{"series": labels, "values": values} for labels, values in series.items()]


def expectation(alert: Alert, minutes: int, labels: Mapping[str, str] | None, value: str = "") -> Group:
    """Who is told what; nobody is told anything where there are no labels."""
    told = [] if labels is None else [_told(alert, labels, value)]
    return {"eval_time": f"{minutes}m", "alertname": alert.name, "exp_alerts": told}


def _told(alert: Alert, labels: Mapping[str, str], value: str) -> Group:
    def filled(text: str) -> str:
        for name, known in {f"$labels.{name}": known for name, known in labels.items()}.items():
            text = text.replace("{" + "{ " + name + " }}", known)
        for name in ("$value", "$value | humanizePercentage"):
            text = text.replace("{" + "{ " + name + " }}", value)
        return text

    texts = {"summary": filled(alert.summary), "description": filled(alert.description)}
    texts["runbook_url"] = f"{RUNBOOK}#{alert.name.lower()}"
    return {"exp_labels": {"severity": alert.severity, "job": "service", **labels}, "exp_annotations": texts}


def promtool_finds(groups: Sequence[Group], folder: Path, evaluated_every: int = 1) -> str:
    """What promtool has to object to; nothing when all is as expected."""
    order = [group["name"] for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]]
    file = {"rule_files": [str(RULES)], "group_eval_order": order, "tests": groups}
    file["evaluation_interval"] = f"{evaluated_every}m"
    (folder / "test.yml").write_text(json.dumps(file))  # JSON is YAML
    ran = run_tool("promtool", "test", "rules", "test.yml", folder=folder)
    return "" if ran.returncode == 0 else ran.stdout


@pytest.mark.req("O3")
def test_prometheus_takes_the_rules() -> None:
    ran = run_tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(RULES))

    assert ran.returncode == 0, ran.stdout


@pytest.mark.req("O3")
def test_every_alert_is_tried_firing_and_quiet() -> None:
    tried = {alert.name for alert in (*FAST_BURNS, *SLOW_BURNS)}
    firing = {case.alert for case in CASES if case.fires} | tried
    quiet = {case.alert for case in CASES if not case.fires} | tried

    assert firing == quiet == BY_NAME.keys()
    assert {(burning.fast, burning.slow) for burning in BURNINGS} >= {(True, False), (False, True), (False, False)}


@pytest.mark.req("O3")
def test_every_route_is_held_to_its_own_objective(app: Flask, tmp_path: Path) -> None:
    promises = objectives_of(app)
    series = {
        f"{indicator.counter}{_labels(method, rule)}": "0" for indicator in INDICATORS for method, rule in promises
    }
    budgets = {
        _labels(method, rule, slo=slo): budget
        for (method, rule), promised in promises.items()
        for slo, budget in (("latency", 0.05), ("error", promised.errors), ("availability", 1 - promised.availability))
    }
    seconds = {_labels(method, rule): promised.latency for (method, rule), promised in promises.items()}
    asked = [_samples("slo:budget:ratio", budgets), _samples("slo:latency_objective:seconds", seconds)]

    found = promtool_finds([{"interval": "1m", "input_series": _series(series), "promql_expr_test": asked}], tmp_path)

    assert found == ""


def _labels(method: str, rule: str, **more: str) -> str:
    labels = {"job": "service", "method": method, "endpoint": rule, **more}
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _samples(name: str, values: Mapping[str, float]) -> Group:
    expected = [{"labels": name + labels, "value": round(value, 6)} for labels, value in values.items()]
    return {"expr": name, "eval_time": "0m", "exp_samples": expected}


@pytest.mark.req("O3")
@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda indicator: indicator.slo)
@pytest.mark.parametrize("burning", BURNINGS, ids=lambda burning: burning.name)
def test_a_budget_that_burns_is_told_and_one_that_lasts_is_not(
    indicator: Indicator, burning: Burning, tmp_path: Path
) -> None:
    budget = BUDGETS[indicator.slo]
    route = {"endpoint": "/route", "method": "GET", "slo": indicator.slo}
    share = f"{burning.phases[-1].burn * budget * 100:.4g}%"
    tried = ((FAST_BURNS, burning.fast), (SLOW_BURNS, burning.slow))
    expected = [
        expectation(alerts[INDICATORS.index(indicator)], burning.minutes, route if fires else None, share)
        for alerts, fires in tried
    ]

    found = promtool_finds(
        [group(burning.name, burning.series(indicator.counter, budget), expected)], tmp_path, burning.minutes
    )

    assert found == ""


@pytest.mark.req("O3")
@pytest.mark.parametrize("alert", PLATFORM, ids=lambda alert: alert.name)
def test_a_part_that_is_not_well_is_told_and_one_that_is_well_is_not(alert: Alert, tmp_path: Path) -> None:
    groups = [
        group(
            case.alert, case.series, [expectation(alert, case.minutes, case.labels if case.fires else None, case.value)]
        )
        for case in CASES
        if case.alert == alert.name
    ]

    assert promtool_finds(groups, tmp_path) == ""
