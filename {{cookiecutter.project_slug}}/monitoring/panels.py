"""The JSON of Grafana dashboards: panels on a grid of 24 columns, variables for data source and route, links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.platform.telemetry.alerts import template_variable
from monitoring.promql import FIRING_ALERTS, selector

COLUMNS, HEIGHT = 24, 8
SCHEMA_VERSION = 41  # of Grafana 12
TAG = "service"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

RATIO, SECONDS, PER_SECOND, NUMBER = "percentunit", "s", "reqps", "short"

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """A PromQL query; the legend has `name`, and the values of `labels`."""

    expr: str
    labels: tuple[str, ...] = ()
    name: str = ""

    def legend(self) -> str:
        """Return the legend of a series."""
        return " ".join([*([self.name] if self.name else []), *map(template_variable, self.labels)]) or "all"


@dataclass(frozen=True)
class Panel:
    """A title, queries, their unit, and how the panel is drawn; `limit` draws a threshold.

    `limit_is_minimum`: values below the limit are red, not values above it.
    """

    title: str
    unit: str
    queries: Sequence[Query]
    kind: str = "timeseries"  # or stat, bargauge
    width: int = 12
    limit: float | None = None
    limit_is_minimum: bool = False
    about: str = ""


@dataclass(frozen=True)
class Dashboard:
    """Panels under a title; `by_route` adds a variable to select routes."""

    title: str
    panels: Sequence[Panel]
    by_route: bool = False


def as_json(uid: str, dashboard: Dashboard) -> Json:
    """Return the content of the file that Grafana reads."""
    positions = _positions(dashboard.panels)
    panels = [_panel(i, *pair) for i, pair in enumerate(zip(dashboard.panels, positions, strict=True), start=1)]
    return {
        "uid": uid,
        "title": dashboard.title,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "graphTooltip": 1,
        "annotations": {"list": [_alert_annotations()]},
        "links": [
            {"type": "dashboards", "title": "Other dashboards", "tags": [TAG], "asDropdown": True, "keepTime": True}
        ],
        "templating": {"list": [_datasource_variable(), *([_route_variable()] if dashboard.by_route else [])]},
        "panels": panels,
    }


def _positions(panels: Iterable[Panel]) -> Iterator[Json]:
    """Fill rows from the left; a panel that does not fit starts the next row."""
    x = y = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        yield {"x": x, "y": y, "w": panel.width, "h": HEIGHT}
        x += panel.width


def _panel(panel_id: int, panel: Panel, position: Json) -> Json:
    return {
        "id": panel_id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **_thresholds(panel)}, "overrides": []},
        "options": _options(panel.kind),
        "targets": [_target(chr(ord("A") + i), query, panel.kind) for i, query in enumerate(panel.queries)],
    }


def _thresholds(panel: Panel) -> Json:
    if panel.limit is None:
        return {"color": {"mode": "palette-classic"}}
    below, above = ("red", "green") if panel.limit_is_minimum else ("green", "red")
    steps = [{"color": below, "value": None}, {"color": above, "value": panel.limit}]
    style = {"custom": {"thresholdsStyle": {"mode": "dashed"}}} if panel.kind == "timeseries" else {}
    mode = "palette-classic" if panel.kind == "timeseries" else "thresholds"
    return {"color": {"mode": mode}, "thresholds": {"mode": "absolute", "steps": steps}, **style}


def _options(kind: str) -> Json:
    if kind == "timeseries":
        return {
            "legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    last_value = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return {**last_value, **({"displayMode": "basic", "orientation": "horizontal"} if kind == "bargauge" else {})}


def _target(ref_id: str, query: Query, kind: str) -> Json:
    target = {"refId": ref_id, "datasource": DATASOURCE, "expr": query.expr, "legendFormat": query.legend()}
    return {**target, "instant": kind == "bargauge", "range": kind != "bargauge"}


def _datasource_variable() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}


def _route_variable() -> Json:
    return {
        "name": "endpoint",
        "label": "Route",
        "type": "query",
        "datasource": DATASOURCE,
        "query": f"label_values({selector('http_requests_total')}, endpoint)",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _alert_annotations() -> Json:
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": FIRING_ALERTS,
        "titleFormat": template_variable("alertname"),
        "textFormat": f"{template_variable('method')} {template_variable('endpoint')}",
    }
