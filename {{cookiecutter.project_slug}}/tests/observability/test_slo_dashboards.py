"""Dashboards are such that Grafana shows them, as far as that can be told without it.

`monitoring/test_queries.py` asks their queries of a real Prometheus.
"""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest

from app.observability.slo.commands import DASHBOARDS
from app.observability.slo.panels import COLUMNS, SOURCE
from tests.environments import ROOT

pytestmark = pytest.mark.req("O3", "O8")

Json = dict[str, Any]

FILES = sorted((ROOT / DASHBOARDS).glob("*.json"))
OF_A_DASHBOARD = {"uid", "title", "tags", "schemaVersion", "version", "time", "refresh", "templating", "panels"}
OF_A_PANEL = {"id", "type", "title", "datasource", "gridPos", "fieldConfig", "options", "targets"}
UNITS = {"short", "s", "reqps", "percentunit"}
KINDS = {"timeseries", "stat", "bargauge"}

every_dashboard = pytest.mark.parametrize(
    "dashboard", [pytest.param(json.loads(file.read_text(encoding="utf-8")), id=file.stem) for file in FILES]
)


def test_there_is_one_for_each_thing_that_somebody_on_call_looks_at() -> None:
    assert [file.stem for file in FILES] == ["cache", "celery", "database", "service", "slo"]


@every_dashboard
def test_a_dashboard_has_what_grafana_needs(dashboard: Json) -> None:
    names = [variable["name"] for variable in dashboard["templating"]["list"]]

    assert dashboard.keys() >= OF_A_DASHBOARD
    assert len(dashboard["uid"]) <= 40
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert {"datasource"} <= set(names) <= {"datasource", "endpoint"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@every_dashboard
def test_a_panel_has_what_grafana_needs(dashboard: Json) -> None:
    for panel in dashboard["panels"]:
        assert panel.keys() >= OF_A_PANEL, panel["title"]
        assert panel["type"] in KINDS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), panel["title"]
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == SOURCE == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["expr"]
            assert target["legendFormat"]


@every_dashboard
def test_no_panel_lies_on_another_or_beyond_the_edge(dashboard: Json) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]

    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    assert [(one, other) for one, other in combinations(places, 2) if _overlap(one, other)] == []


def _overlap(one: Json, other: Json) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or below)


@every_dashboard
def test_what_a_query_asks_to_be_chosen_can_be_chosen(dashboard: Json) -> None:
    chosen = {variable["name"] for variable in dashboard["templating"]["list"]}
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    assert any("$endpoint" in query for query in queries) == ("endpoint" in chosen)
