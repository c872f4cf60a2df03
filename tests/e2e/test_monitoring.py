"""`docker compose --profile monitoring up`: Prometheus scrapes every container, loads the rules, finds Alertmanager.

Grafana is not started here; the service's own tests cover its dashboards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.engine import health, wait_until
from e2e.stack import Stack

MONITORING_SERVICES = ("prometheus", "alertmanager")
SCRAPE_SECONDS = 60
PROMETHEUS_QUERY = (
    "import sys, urllib.request as r; print(r.urlopen('http://prometheus:9090/api/v1/' + sys.argv[1]).read().decode())"
)


@pytest.fixture(scope="module")
def monitored_stack(stack: Stack) -> Iterator[Stack]:
    """The stack with its monitoring services."""
    profile = ("--profile", "monitoring")
    stack.compose(*profile, "up", "--detach", "--wait", "--wait-timeout", "120", *MONITORING_SERVICES, seconds=180)
    yield stack
    stack.compose(*profile, "rm", "--stop", "--force", "--volumes", *MONITORING_SERVICES)


def query_prometheus(stack: Stack, path: str) -> Any:  # noqa: ANN401  # JSON may be of any type
    """Return the data of a Prometheus API response; the request comes from the worker container."""
    return json.loads(stack.exec("worker", "python", "-c", PROMETHEUS_QUERY, path))["data"]


@pytest.mark.req("R2", "O4")
@pytest.mark.parametrize("service", MONITORING_SERVICES)
def test_monitoring_services_are_healthy(monitored_stack: Stack, service: str) -> None:
    assert [health(container) for container in monitored_stack.containers(service)] == ["healthy"]


@pytest.mark.req("R2", "O1", "O2")
def test_prometheus_scrapes_every_web_container_and_worker(monitored_stack: Stack) -> None:
    def scraped_jobs() -> list[str]:
        targets = query_prometheus(monitored_stack, "targets?state=active")["activeTargets"]
        return sorted(target["labels"]["job"] for target in targets if target["health"] == "up")

    wait_until(
        lambda: scraped_jobs() == ["service"] * 3 + ["worker"],
        SCRAPE_SECONDS,
        "Prometheus did not scrape every container",
    )


@pytest.mark.req("O3")
def test_prometheus_loads_the_rules(monitored_stack: Stack) -> None:
    names = {group["name"] for group in query_prometheus(monitored_stack, "rules")["groups"]}

    assert names == {"objectives", "short windows", "long windows", "fast burns", "slow burns", "platform", "features"}


@pytest.mark.req("O4")
def test_prometheus_finds_alertmanager(monitored_stack: Stack) -> None:
    (found,) = query_prometheus(monitored_stack, "alertmanagers")["activeAlertmanagers"]

    assert found["url"].endswith(":9093/api/v2/alerts")
