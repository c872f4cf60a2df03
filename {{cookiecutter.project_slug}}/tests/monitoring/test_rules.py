"""Each alert fires on its condition only, checked with promtool."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from app.platform.telemetry.alerts import Alert, template_variable
from app.platform.telemetry.objectives import objectives_of
from monitoring.alerts import PLATFORM_ALERTS
from monitoring.burn_rates import FAST_BURN_ALERTS, INDICATORS, SLOW_BURN_ALERTS, Indicator
from monitoring.commands import FEATURE_ALERTS
from tests.monitoring import burn_rate_cases, platform_alert_cases
from tests.monitoring.alert_cases import feature_cases
from tests.monitoring.burn_rate_cases import BurnRateCase
from tests.monitoring.conftest import RULES
from tests.servers.prometheus import run_tool

pytestmark = [pytest.mark.running, pytest.mark.usefixtures("monitoring_programs")]

RUNBOOK = "https://example.org/runbook"
DEFAULT_BUDGETS = {"latency": 0.05, "error": 0.01, "availability": 0.01}
ALERTS = (*PLATFORM_ALERTS, *FEATURE_ALERTS)
CASES = (*platform_alert_cases.CASES, *feature_cases())

Json = dict[str, Any]


def promtool_group(name: str, series: Mapping[str, str], expected: Sequence[Json]) -> Json:
    """A test group of promtool's test file."""
    return {
        "name": name,
        "interval": "1m",
        "external_labels": {"runbook": RUNBOOK},
        "input_series": _series(series),
        "alert_rule_test": expected,
    }


def _series(series: Mapping[str, str]) -> list[Json]:
    return [{"series": labels, "values": values} for labels, values in series.items()]


def expectation(alert: Alert, minutes: int, labels: Mapping[str, str] | None, value: str = "") -> Json:
    """The expected alert with its message; without labels, no alert."""
    expected = [] if labels is None else [_expected_alert(alert, labels, value)]
    return {"eval_time": f"{minutes}m", "alertname": alert.name, "exp_alerts": expected}


def _expected_alert(alert: Alert, labels: Mapping[str, str], value: str) -> Json:
    values = {f"$labels.{name}": label for name, label in labels.items()}
    values |= {"$value": value, "$value | humanizePercentage": value}

    def render(template: str) -> str:
        for name, text in values.items():
            template = template.replace(template_variable(name), text)
        return template

    annotations = {"summary": render(alert.summary), "description": render(alert.description)}
    annotations["runbook_url"] = f"{RUNBOOK}#{alert.name.lower()}"
    return {"exp_labels": {"severity": alert.severity, "job": "service", **labels}, "exp_annotations": annotations}


def promtool_failures(groups: Sequence[Json], folder: Path, evaluation_minutes: int = 1) -> str:
    """Run promtool; returns its report if a test fails."""
    order = [group["name"] for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]]
    file = {"rule_files": [str(RULES)], "group_eval_order": order, "tests": groups}
    file["evaluation_interval"] = f"{evaluation_minutes}m"
    (folder / "test.yml").write_text(json.dumps(file))  # JSON is YAML
    result = run_tool("promtool", "test", "rules", "test.yml", folder=folder)
    return "" if result.returncode == 0 else result.stdout


@pytest.mark.req("O3")
def test_promtool_accepts_the_rules() -> None:
    result = run_tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(RULES))

    assert result.returncode == 0, result.stdout


@pytest.mark.req("O3")
def test_every_alert_has_firing_and_quiet_cases() -> None:
    firing = {case.alert for case in CASES if case.fires}
    quiet = {case.alert for case in CASES if not case.fires}
    burn_rates = {(case.fast, case.slow) for case in burn_rate_cases.CASES}

    assert firing == quiet == {alert.name for alert in ALERTS}, "add cases to alert_cases.py of the feature's tests"
    assert burn_rates >= {(True, False), (False, True), (False, False)}


@pytest.mark.req("O3")
def test_every_route_has_the_objective_of_its_view(app: Flask, tmp_path: Path) -> None:
    objectives = objectives_of(app)
    series = {
        f"{indicator.counter}{_labels(method, rule)}": "0" for indicator in INDICATORS for method, rule in objectives
    }
    budgets = {
        _labels(method, rule, slo=slo): budget
        for (method, rule), objective in objectives.items()
        for slo, budget in (
            ("latency", 0.05),
            ("error", objective.errors),
            ("availability", 1 - objective.availability),
        )
    }
    seconds = {_labels(method, rule): objective.latency for (method, rule), objective in objectives.items()}
    tests = [_expression_test("slo:budget:ratio", budgets), _expression_test("slo:latency_objective:seconds", seconds)]

    failures = promtool_failures(
        [{"interval": "1m", "input_series": _series(series), "promql_expr_test": tests}], tmp_path
    )

    assert failures == ""


def _labels(method: str, rule: str, **more: str) -> str:
    labels = {"job": "service", "method": method, "endpoint": rule, **more}
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _expression_test(name: str, values: Mapping[str, float]) -> Json:
    expected = [{"labels": name + labels, "value": round(value, 6)} for labels, value in values.items()]
    return {"expr": name, "eval_time": "0m", "exp_samples": expected}


@pytest.mark.req("O3")
@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda indicator: indicator.slo)
@pytest.mark.parametrize("case", burn_rate_cases.CASES, ids=lambda case: case.name)
def test_burn_rate_alerts_fire_only_above_their_rates(indicator: Indicator, case: BurnRateCase, tmp_path: Path) -> None:
    budget = DEFAULT_BUDGETS[indicator.slo]
    route = {"endpoint": "/route", "method": "GET", "slo": indicator.slo}
    share = f"{case.phases[-1].burn_rate * budget * 100:.4g}%"
    index = INDICATORS.index(indicator)
    expected = [
        expectation(alerts[index], case.minutes, route if fires else None, share)
        for alerts, fires in ((FAST_BURN_ALERTS, case.fast), (SLOW_BURN_ALERTS, case.slow))
    ]

    group = promtool_group(case.name, case.series(indicator.counter, budget), expected)
    assert promtool_failures([group], tmp_path, case.minutes) == ""


@pytest.mark.req("O3")
@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alert_fires_only_on_its_condition(alert: Alert, tmp_path: Path) -> None:
    groups = [
        promtool_group(
            case.alert, case.series, [expectation(alert, case.minutes, case.labels if case.fires else None, case.value)]
        )
        for case in CASES
        if case.alert == alert.name
    ]

    assert promtool_failures(groups, tmp_path) == ""
