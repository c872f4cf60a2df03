"""Fixtures for tests of monitoring: the programs, a fake PagerDuty, an Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.environments import ROOT
from tests.monitoring.local_configuration import local_alertmanager
from tests.servers import ServerError
from tests.servers.alertmanager import AlertmanagerServer, start_alertmanager
from tests.servers.fake_pagerduty import FakePagerDuty, start_fake_pagerduty
from tests.servers.prometheus import find_program

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


@pytest.fixture(scope="session")
def monitoring_programs() -> None:
    """Skip tests on a machine without Prometheus and Alertmanager; no wheel contains them."""
    try:
        for alternatives in (("prometheus",), ("promtool",), ("amtool",), ("alertmanager", "prometheus-alertmanager")):
            find_program(*alternatives)
    except ServerError as error:
        pytest.skip(str(error))


@pytest.fixture
def fake_pagerduty() -> Iterator[FakePagerDuty]:
    with start_fake_pagerduty() as fake_pagerduty:
        yield fake_pagerduty


@pytest.fixture
def alertmanager(
    monitoring_programs: None, fake_pagerduty: FakePagerDuty, tmp_path: Path
) -> Iterator[AlertmanagerServer]:
    """An Alertmanager with the committed configuration, which sends to the fake PagerDuty and Slack."""
    configuration: Any = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    with start_alertmanager(local_alertmanager(configuration, fake_pagerduty, tmp_path)) as server:
        yield server
