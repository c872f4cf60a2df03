"""What is made from the objectives is what is committed, whatever the environment; and a drift is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from app import create_app
from app.observability.slo import commands
from app.observability.slo.alerts import ALERTS
from app.observability.slo.objectives import Objective
from tests.environments import ROOT

pytestmark = pytest.mark.req("O3")

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / commands.RULES).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("kind", ["rules", "dashboard"])
def test_the_committed_files_are_what_is_declared(app: Flask, kind: str) -> None:
    ran = app.test_cli_runner().invoke(args=["slo", kind, "--check"])

    assert ran.exit_code == 0, ran.output


def test_the_files_do_not_depend_on_the_settings(environment: Mapping[str, str]) -> None:
    app = create_app({**environment, "API_LEGACY_ENABLED": "true"})

    assert app.test_cli_runner().invoke(args=["slo", "rules", "--check"]).exit_code == 0


def test_an_objective_that_changed_is_told_with_the_lines_that_do_not_fit(environment: Mapping[str, str]) -> None:
    app = create_app(environment)
    app.extensions["objectives"]["GET", "/ready"] = Objective(0.25)

    ran = app.test_cli_runner().invoke(args=["slo", "rules", "--check"])

    assert ran.exit_code == 1
    assert "run flask slo rules" in ran.output
    assert re.search(r'^\+ .*0\.25 \+ 0 \* .*endpoint=~"/ready"', ran.output, re.MULTILINE)


def test_a_dashboard_that_was_changed_is_told(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "root_path", str(tmp_path / "app"))
    runner = app.test_cli_runner()
    assert runner.invoke(args=["slo", "dashboard", "--check"]).exit_code == 1

    written = runner.invoke(args=["slo", "dashboard"])
    assert written.exit_code == 0
    assert runner.invoke(args=["slo", "dashboard", "--check"]).exit_code == 0

    file = tmp_path / written.output.split()[0]
    file.write_text(file.read_text(encoding="utf-8").replace('"refresh": "30s"', '"refresh": "5s"'), encoding="utf-8")
    ran = runner.invoke(args=["slo", "dashboard", "--check"])

    assert ran.exit_code == 1
    assert '-  "refresh": "5s"' in ran.output


@pytest.mark.req("O4")
def test_every_alert_says_what_to_do_and_links_to_where_that_is_written() -> None:
    headings = {heading.strip().lower() for heading in re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)}
    alerts = [rule for rule in rules() if "alert" in rule]

    assert [rule["alert"] for rule in alerts] == [alert.name for alert in ALERTS]
    for alert in alerts:
        texts = alert["annotations"]
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert texts["summary"]
        assert texts["description"]
        base, _, anchor = texts["runbook_url"].partition("#")
        assert base == "{" + "{ $externalLabels.runbook }" + "}"
        assert anchor in headings, f"docs/runbook.md has no heading for {alert['alert']}"


@pytest.mark.req("O4")
def test_the_runbook_tells_of_no_alert_that_is_gone() -> None:
    named = re.findall(r"^## ([A-Z][a-z]+[A-Z]\w+)$", RUNBOOK, re.MULTILINE)

    assert sorted(named) == sorted(alert.name for alert in ALERTS)


@pytest.mark.req("O4")
def test_links_lead_to_the_runbook() -> None:
    configuration = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))

    path = configuration["global"]["external_labels"]["runbook"]

    assert (ROOT / path).is_file()
