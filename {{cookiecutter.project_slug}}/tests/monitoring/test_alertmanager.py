"""Routing, messages and inhibition of alerts: with amtool, and with a real Alertmanager and a fake PagerDuty."""

from __future__ import annotations

import pytest

from app.platform.telemetry.alerts import Alert
from monitoring.alerts import PLATFORM_ALERTS
from monitoring.burn_rates import FAST_BURN_ALERTS, SLOW_BURN_ALERTS
from monitoring.commands import FEATURE_ALERTS
from tests.monitoring.conftest import ALERTMANAGER
from tests.servers import wait_until
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.fake_pagerduty import FakePagerDuty
from tests.servers.prometheus import run_tool

pytestmark = [pytest.mark.running, pytest.mark.usefixtures("monitoring_programs"), pytest.mark.req("O4")]

RUNBOOK = "https://example.org/runbook"
ALERTS = (*FAST_BURN_ALERTS, *SLOW_BURN_ALERTS, *PLATFORM_ALERTS, *FEATURE_ALERTS)


def alert(name: str, severity: str, **labels: str) -> dict[str, dict[str, str]]:
    """An alert as Prometheus sends it."""
    annotations = {
        "summary": f"{name} of {labels}",
        "description": "Details.",
        "runbook_url": f"{RUNBOOK}#{name.lower()}",
    }
    return {"labels": {"alertname": name, "severity": severity, "job": "service", **labels}, "annotations": annotations}


def test_amtool_accepts_the_configuration() -> None:
    result = run_tool("amtool", "check-config", str(ALERTMANAGER))

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_critical_alerts_go_to_pagerduty_and_warnings_to_slack(alert: Alert) -> None:
    receiver = {"critical": "pagerduty", "warning": "slack"}[alert.severity]
    labels = (f"alertname={alert.name}", f"severity={alert.severity}", "job=service")

    result = run_tool(
        "amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}", *labels
    )

    assert result.returncode == 0, result.stdout


def test_page_names_the_alerts_and_links_to_the_runbook(
    alertmanager: AlertmanagerServer, fake_pagerduty: FakePagerDuty
) -> None:
    alertmanager.post([alert("AvailabilityBudgetBurnsFast", "critical", endpoint=route) for route in ("/a", "/b")])

    page = fake_pagerduty.page("AvailabilityBudgetBurnsFast")

    assert page["payload"]["severity"] == "critical"
    assert page["payload"]["component"] == "service"
    assert page["payload"]["summary"].endswith("; 2 alerts in total")
    assert page["links"] == [{"href": f"{RUNBOOK}#availabilitybudgetburnsfast", "text": "What to do"}]
    assert page["payload"]["custom_details"]["alerts"].count("Details.") == 2


def test_slack_message_names_alert_and_links_runbook(
    alertmanager: AlertmanagerServer, fake_pagerduty: FakePagerDuty
) -> None:
    alertmanager.post([alert("QueueGrows", "warning", queue="default")])

    message = fake_pagerduty.message("QueueGrows")

    assert message["title_link"] == f"{RUNBOOK}#queuegrows"
    assert "{'queue': 'default'}. Details." in message["text"]
    assert fake_pagerduty.pages == []


def test_critical_alert_inhibits_warnings_of_its_route_only(
    alertmanager: AlertmanagerServer, fake_pagerduty: FakePagerDuty
) -> None:
    alertmanager.post(
        [
            alert("AvailabilityBudgetBurnsFast", "critical", endpoint="/a"),
            alert("AvailabilityBudgetBurnsSlowly", "warning", endpoint="/a"),
            alert("LatencyBudgetBurnsSlowly", "warning", endpoint="/b"),
            alert("WorkerSilent", "critical"),
            alert("QueueGrows", "warning"),
        ]
    )

    fake_pagerduty.message("LatencyBudgetBurnsSlowly")
    fake_pagerduty.message("QueueGrows")
    assert alertmanager.inhibited_alerts() == {"AvailabilityBudgetBurnsSlowly"}
    assert not [message for message in fake_pagerduty.messages if message["title"] == "AvailabilityBudgetBurnsSlowly"]


def test_down_alerts_inhibit_alerts_of_the_same_service_or_instance(
    alertmanager: AlertmanagerServer, fake_pagerduty: FakePagerDuty
) -> None:
    alertmanager.post(
        [
            alert("InstanceDown", "warning", instance="a"),
            alert("OfSameInstance", "warning", instance="a"),
            alert("OfOtherInstance", "warning", instance="b"),
        ]
    )
    assert wait_until(lambda: alertmanager.inhibited_alerts() == {"OfSameInstance"}, 60)

    alertmanager.post([alert("ServiceDown", "critical"), alert("OfOtherService", "critical", job="worker")])

    fake_pagerduty.page("ServiceDown")
    fake_pagerduty.page("OfOtherService")
    assert alertmanager.inhibited_alerts() == {"InstanceDown", "OfSameInstance", "OfOtherInstance"}


def test_resolved_alert_resolves_the_page(alertmanager: AlertmanagerServer, fake_pagerduty: FakePagerDuty) -> None:
    firing = alert("ServiceDown", "critical")
    alertmanager.post([firing])
    page = fake_pagerduty.page("ServiceDown")

    alertmanager.post([{**firing, "endsAt": "2026-01-01T00:00:00Z", "startsAt": "2025-12-31T00:00:00Z"}])

    assert fake_pagerduty.page("ServiceDown", "resolve")["dedup_key"] == page["dedup_key"]
