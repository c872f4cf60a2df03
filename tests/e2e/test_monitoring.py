"""`docker compose --profile monitoring up`: Prometheus sees every container, has the rules, and finds Alertmanager.

Grafana is left out: its dashboards are tested with the service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.engine import health, wait_until
from e2e.stack import Stack

WATCHERS = ("prometheus", "alertmanager")
SCRAPED_SECONDS = 60
ASK = (
    "import sys, urllib.request as r; print(r.urlopen('http://prometheus:9090/api/v1/' + sys.argv[1]).read().decode())"
)


@pytest.fixture(scope="module")
def watched(stack: Stack) -> Iterator[Stack]:
    """The stack, with those who watch it."""
    profile = ("--profile", "monitoring")
    stack.compose(*profile, "up", "--detach", "--wait", "--wait-timeout", "120", *WATCHERS, seconds=180)
    yield stack
    stack.compose(*profile, "rm", "--stop", "--force", "--volumes", *WATCHERS)


def ask(stack: Stack, path: str) -> Any:  # noqa: ANN401 - that is what JSON is
    """Return what Prometheus answers, asked from a container beside it."""
    return json.loads(stack.execute("worker", "python", "-c", ASK, path))["data"]


@pytest.mark.req("R2", "O4")
@pytest.mark.parametrize("service", WATCHERS)
def test_those_who_watch_are_healthy(watched: Stack, service: str) -> None:
    assert [health(container) for container in watched.containers(service)] == ["healthy"]


@pytest.mark.req("R2", "O1", "O2")
def test_every_web_container_and_worker_is_seen(watched: Stack) -> None:
    def seen() -> list[str]:
        targets = ask(watched, "targets?state=active")["activeTargets"]
        return sorted(target["labels"]["job"] for target in targets if target["health"] == "up")

    wait_until(lambda: seen() == ["service"] * 3 + ["worker"], SCRAPED_SECONDS, "not every container was seen")


@pytest.mark.req("O3")
def test_prometheus_has_the_rules(watched: Stack) -> None:
    names = {group["name"] for group in ask(watched, "rules")["groups"]}

    assert names == {"objectives", "short windows", "long windows", "fast burns", "slow burns", "platform"}


@pytest.mark.req("O4")
def test_prometheus_finds_alertmanager(watched: Stack) -> None:
    (found,) = ask(watched, "alertmanagers")["activeAlertmanagers"]

    assert found["url"].endswith(":9093/api/v2/alerts")
