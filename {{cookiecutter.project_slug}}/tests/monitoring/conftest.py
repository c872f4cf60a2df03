"""What tests of monitoring stand on: the programs, the committed files, and somebody who is paged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.environments import ROOT
from tests.monitoring.scaling import paging
from tests.servers import ServerError
from tests.servers.alertmanager import AlertmanagerServer, start_alertmanager
from tests.servers.pager import Pager, start_pager
from tests.servers.prometheus import find_program

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


@pytest.fixture(autouse=True, scope="session")
def _programs() -> None:
    """Skip where there is no Prometheus: no wheel brings one."""
    try:
        for alternatives in (("prometheus",), ("promtool",), ("amtool",), ("alertmanager", "prometheus-alertmanager")):
            find_program(*alternatives)
    except ServerError as error:
        pytest.skip(str(error))


@pytest.fixture
def pager() -> Iterator[Pager]:
    with start_pager() as pager:
        yield pager


@pytest.fixture
def alertmanager(pager: Pager, tmp_path: Path) -> Iterator[AlertmanagerServer]:
    """An Alertmanager with the committed configuration, which pages the pager."""
    configuration: Any = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    with start_alertmanager(paging(configuration, pager, tmp_path)) as server:
        yield server
