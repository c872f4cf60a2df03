"""Who is told of what: by amtool, and by a real Alertmanager with somebody who is paged."""

from __future__ import annotations

import pytest

from app.observability.slo.alerts import ALERTS, Alert
from tests.monitoring.conftest import ALERTMANAGER
from tests.servers import wait_until
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.pager import Pager
from tests.servers.prometheus import run_tool

pytestmark = [pytest.mark.running, pytest.mark.req("O4")]

RUNBOOK = "https://example.org/runbook"


def alert(name: str, severity: str, **labels: str) -> dict[str, dict[str, str]]:
    """An alert as Prometheus tells it."""
    texts = {"summary": f"{name} of {labels}", "description": "So it is.", "runbook_url": f"{RUNBOOK}#{name.lower()}"}
    return {"labels": {"alertname": name, "severity": severity, "job": "service", **labels}, "annotations": texts}


def test_alertmanager_takes_the_configuration() -> None:
    ran = run_tool("amtool", "check-config", str(ALERTMANAGER))

    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_critical_alerts_call_somebody_and_warnings_are_written_down(alert: Alert) -> None:
    receiver = {"critical": "pagerduty", "warning": "slack"}[alert.severity]
    labels = (f"alertname={alert.name}", f"severity={alert.severity}", "job=service")

    ran = run_tool(
        "amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}", *labels
    )

    assert ran.returncode == 0, ran.stdout


def test_a_page_says_what_is_wrong_and_links_to_what_to_do(alertmanager: AlertmanagerServer, pager: Pager) -> None:
    alertmanager.post([alert("AvailabilityBudgetBurnsFast", "critical", endpoint=route) for route in ("/a", "/b")])

    page = pager.page("AvailabilityBudgetBurnsFast")

    assert page["payload"]["severity"] == "critical"
    assert page["payload"]["component"] == "service"
    assert page["payload"]["summary"].endswith("and 2 alerts in all")
    assert page["links"] == [{"href": f"{RUNBOOK}#availabilitybudgetburnsfast", "text": "What to do"}]
    assert page["payload"]["custom_details"]["alerts"].count("So it is.") == 2


def test_a_warning_says_what_is_wrong_and_links_to_what_to_do(alertmanager: AlertmanagerServer, pager: Pager) -> None:
    alertmanager.post([alert("QueueGrows", "warning", queue="default")])

    message = pager.message("QueueGrows")

    assert message["title_link"] == f"{RUNBOOK}#queuegrows"
    assert "{'queue': 'default'}. So it is." in message["text"]
    assert pager.pages == []


def test_what_is_critical_silences_the_warnings_of_its_route_alone(
    alertmanager: AlertmanagerServer, pager: Pager
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

    pager.message("LatencyBudgetBurnsSlowly")
    pager.message("QueueGrows")
    assert alertmanager.silenced() == {"AvailabilityBudgetBurnsSlowly"}
    assert not [message for message in pager.messages if message["title"] == "AvailabilityBudgetBurnsSlowly"]


def test_a_service_that_is_down_silences_all_that_is_its_and_a_container_only_its_own(
    alertmanager: AlertmanagerServer, pager: Pager
) -> None:
    alertmanager.post(
        [
            alert("InstanceDown", "warning", instance="a"),
            alert("OfTheContainer", "warning", instance="a"),
            alert("OfAnotherOne", "warning", instance="b"),
        ]
    )
    assert wait_until(lambda: alertmanager.silenced() == {"OfTheContainer"}, 10)

    alertmanager.post([alert("ServiceDown", "critical"), alert("OfAnotherService", "critical", job="worker")])

    pager.page("ServiceDown")
    pager.page("OfAnotherService")
    assert alertmanager.silenced() == {"InstanceDown", "OfTheContainer", "OfAnotherOne"}


def test_it_is_told_when_it_is_over(alertmanager: AlertmanagerServer, pager: Pager) -> None:
    burning = alert("ServiceDown", "critical")
    alertmanager.post([burning])
    page = pager.page("ServiceDown")

    alertmanager.post([{**burning, "endsAt": "2026-01-01T00:00:00Z", "startsAt": "2025-12-31T00:00:00Z"}])

    assert pager.page("ServiceDown", "resolve")["dedup_key"] == page["dedup_key"]
