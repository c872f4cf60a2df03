"""Rules and dashboards query metrics that exist: checked with a real Prometheus and the service under traffic."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from monitoring.alerts import HEARTBEAT_AGE
from monitoring.dashboards import dashboards
from monitoring.promql import WORKER, rate, selector
from tests.conftest import MIGRATED
from tests.monitoring.conftest import RULES
from tests.monitoring.monitored_service import WINDOW, MonitoredService, monitored_service
from tests.scrapes import parse_samples
from tests.servers import PostgresServer, RedisServer, wait_until

pytestmark = pytest.mark.running

METRIC = re.compile(r"([a-zA-Z_:][\w:]*)\{")
METRICS_OF_PROMETHEUS = {"up", "ALERTS"}
QUERIES = [
    pytest.param(target["expr"], id=f"{name}: {panel['title']} {target['refId']}")
    for name, dashboard in dashboards().items()
    for panel in dashboard["panels"]
    for target in panel["targets"]
]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


RECORDED = sorted({rule["record"] for rule in rules() if "record" in rule})


def queried_metrics() -> set[str]:
    """The metrics in the queries of rules and panels, without those that rules record."""
    queries = [rule["expr"] for rule in rules()] + [parameter.values[0] for parameter in QUERIES]
    return {name for query in queries for name in METRIC.findall(str(query))} - set(RECORDED) - METRICS_OF_PROMETHEUS


@pytest.fixture(scope="module")
def service(
    monitoring_programs: None,
    postgres: PostgresServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MonitoredService]:
    """The service under traffic, after Prometheus has scraped the last metrics: a retry of a task, and a heartbeat."""
    redis_server.flush()
    database = postgres.create_database("monitored", template=MIGRATED)
    with monitored_service(database, redis_server.url, tmp_path_factory.mktemp("monitored")) as service:
        retries = rate("celery_task_retries_total", window=WINDOW, job=WORKER)
        assert wait_until(lambda: bool(values(service, f"{retries} and on () {selector(HEARTBEAT_AGE)}")), 240)
        yield service
    postgres.drop_database("monitored")
    redis_server.flush()


def values(service: MonitoredService, query: str) -> list[float]:
    """The finite values of the current result of a query."""
    numbers = (float(series["value"][1]) for series in service.prometheus.query(query))
    return [number for number in numbers if math.isfinite(number)]


@pytest.mark.req("O2", "O3")
def test_service_exports_every_queried_metric(service: MonitoredService) -> None:
    exported = {sample.name for sample in parse_samples(service.scrape())}

    assert sorted(queried_metrics() - exported) == []


@pytest.mark.req("O3")
@pytest.mark.parametrize("name", RECORDED)
def test_recording_rule_has_values(service: MonitoredService, name: str) -> None:
    assert wait_until(lambda: bool(values(service, name)), 240)


@pytest.mark.req("O3", "O8")
@pytest.mark.parametrize("query", QUERIES)
def test_panel_has_values(service: MonitoredService, query: str) -> None:
    sent = query.replace("$__rate_interval", WINDOW).replace("$endpoint", ".*")

    assert wait_until(lambda: bool(values(service, sent)), 240), sent


@pytest.mark.req("O3")
def test_prometheus_evaluates_rules_without_errors(service: MonitoredService) -> None:
    groups = service.prometheus.groups()

    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
