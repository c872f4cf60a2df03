"""The dashboards have the structure that Grafana needs; `test_queries.py` sends their queries to a real Prometheus."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest

from monitoring.commands import DASHBOARDS
from monitoring.panels import COLUMNS, DATASOURCE
from tests.environments import ROOT

pytestmark = pytest.mark.req("O3", "O8")

Json = dict[str, Any]

FILES = sorted((ROOT / DASHBOARDS).glob("*.json"))
DASHBOARD_MEMBERS = {"uid", "title", "tags", "schemaVersion", "version", "time", "refresh", "templating", "panels"}
PANEL_MEMBERS = {"id", "type", "title", "datasource", "gridPos", "fieldConfig", "options", "targets"}
UNITS = {"short", "s", "reqps", "percentunit"}
KINDS = {"timeseries", "stat", "bargauge"}

every_dashboard = pytest.mark.parametrize(
    "dashboard", [pytest.param(json.loads(file.read_text(encoding="utf-8")), id=file.stem) for file in FILES]
)


def test_every_dashboard_is_committed() -> None:
    assert [file.stem for file in FILES] == ["cache", "celery", "database", "service", "slo"]


@every_dashboard
def test_dashboard_has_the_members_that_grafana_needs(dashboard: Json) -> None:
    names = [variable["name"] for variable in dashboard["templating"]["list"]]

    assert dashboard.keys() >= DASHBOARD_MEMBERS
    assert len(dashboard["uid"]) <= 40
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert {"datasource"} <= set(names) <= {"datasource", "endpoint"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@every_dashboard
def test_panels_have_the_members_that_grafana_needs(dashboard: Json) -> None:
    for panel in dashboard["panels"]:
        assert panel.keys() >= PANEL_MEMBERS, panel["title"]
        assert panel["type"] in KINDS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), panel["title"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == DATASOURCE == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["expr"]
            assert target["legendFormat"]


@every_dashboard
def test_panels_fit_the_grid_and_do_not_overlap(dashboard: Json) -> None:
    positions = [panel["gridPos"] for panel in dashboard["panels"]]

    assert all(position["x"] + position["w"] <= COLUMNS for position in positions)
    assert [(one, other) for one, other in combinations(positions, 2) if _overlap(one, other)] == []


def _overlap(one: Json, other: Json) -> bool:
    horizontally_apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    vertically_apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (horizontally_apart or vertically_apart)


@every_dashboard
def test_dashboard_has_a_route_variable_if_queries_use_it(dashboard: Json) -> None:
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    assert any("$endpoint" in query for query in queries) == ("endpoint" in variables)
