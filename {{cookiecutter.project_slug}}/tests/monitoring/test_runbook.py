"""The runbook and the alerts: each alert links to its section, and each section is about an alert."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from app.platform.telemetry.alerts import template_variable
from monitoring.commands import RULES
from tests.environments import ROOT

pytestmark = pytest.mark.req("O4")

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / RULES).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.req("O3")
def test_every_alert_has_a_message_and_links_to_its_section(alerts: list[dict[str, Any]]) -> None:
    headings = {heading.strip().lower() for heading in re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)}

    for alert in alerts:
        annotations = alert["annotations"]
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert annotations["summary"]
        assert annotations["description"]
        base, _, anchor = annotations["runbook_url"].partition("#")
        assert base == template_variable("$externalLabels.runbook")
        assert anchor in headings, f"docs/runbook.md has no heading {alert['alert']}: add a section"


def test_runbook_has_no_section_of_a_removed_alert(alerts: list[dict[str, Any]]) -> None:
    sections = re.findall(r"^## ([A-Z][a-z]+[A-Z]\w+)$", RUNBOOK, re.MULTILINE)

    assert sorted(sections) == sorted(alert["alert"] for alert in alerts)


def test_runbook_path_of_alert_links_exists() -> None:
    configuration = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))

    path = configuration["global"]["external_labels"]["runbook"]

    assert (ROOT / path).is_file()
