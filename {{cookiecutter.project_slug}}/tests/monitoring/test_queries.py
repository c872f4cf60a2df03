"""What rules and dashboards ask for is there: asked of a real Prometheus that watches the service under traffic."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.observability.slo.alerts import HEARTBEAT_AGE
from app.observability.slo.dashboards import dashboards
from app.observability.slo.promql import WORKER, rate, series
from tests.conftest import MIGRATED
from tests.monitoring.conftest import RULES
from tests.monitoring.stack import WINDOW, Watched, watched
from tests.servers import PostgresServer, RedisServer, wait_until

pytestmark = pytest.mark.running

METRIC = re.compile(r"([a-zA-Z_:][\w:]*)\{")
OF_PROMETHEUS = {"up", "ALERTS"}
PANELS = [
    pytest.param(target["expr"], id=f"{name}: {panel['title']} {target['refId']}")
    for name, dashboard in dashboards().items()
    for panel in dashboard["panels"]
    for target in panel["targets"]
]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


RECORDED = sorted({rule["record"] for rule in rules() if "record" in rule})


def asked_for() -> set[str]:
    """The metrics that rules and panels name, less those that rules make."""
    queries = [rule["expr"] for rule in rules()] + [parameter.values[0] for parameter in PANELS]
    return {name for query in queries for name in METRIC.findall(str(query))} - set(RECORDED) - OF_PROMETHEUS


@pytest.fixture(scope="module")
def service(
    postgres: PostgresServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """The service under traffic, once Prometheus has seen what comes last: a task's second try, and a heartbeat."""
    redis_server.flush()
    database = postgres.create_database("watched", template=MIGRATED)
    with watched(database, redis_server.url, tmp_path_factory.mktemp("watched")) as service:
        last = f"{rate('celery_task_retries_total', over=WINDOW, job=WORKER)} and on () {series(HEARTBEAT_AGE)}"
        assert wait_until(lambda: bool(figures(service, last)), 60)
        yield service
    postgres.drop_database("watched")
    redis_server.flush()


def figures(service: Watched, query: str) -> list[float]:
    """The numbers that a query comes to now."""
    found = (float(series["value"][1]) for series in service.prometheus.query(query))
    return [number for number in found if math.isfinite(number)]


@pytest.mark.req("O2", "O3")
def test_every_metric_that_is_asked_for_is_shown(service: Watched) -> None:
    families = text_string_to_metric_families(service.scrape())
    shown = {sample.name for family in families for sample in family.samples}

    assert sorted(asked_for() - shown) == []


@pytest.mark.req("O3")
@pytest.mark.parametrize("name", RECORDED)
def test_everything_is_recorded(service: Watched, name: str) -> None:
    assert wait_until(lambda: bool(figures(service, name)), 10)


@pytest.mark.req("O3", "O8")
@pytest.mark.parametrize("query", PANELS)
def test_no_panel_is_empty(service: Watched, query: str) -> None:
    asked = query.replace("$__rate_interval", WINDOW).replace("$endpoint", ".*")

    assert wait_until(lambda: bool(figures(service, asked)), 10), asked


@pytest.mark.req("O3")
def test_nothing_is_wrong(service: Watched) -> None:
    """The rules are evaluated without fault."""
    groups = service.prometheus.groups()

    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
