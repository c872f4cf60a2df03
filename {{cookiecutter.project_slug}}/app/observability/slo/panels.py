"""Dashboards in Grafana's own words: panels on a grid of 24 columns, choices of data source and route, links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.observability.slo.promql import series, text_of

COLUMNS, HEIGHT = 24, 8
SCHEMA_VERSION = 41  # of Grafana 12
TAG = "service"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

RATIO, SECONDS, PER_SECOND, NUMBER = "percentunit", "s", "reqps", "short"

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """What to ask Prometheus, and by which labels to name each answer."""

    text: str
    labels: tuple[str, ...] = ()
    name: str = ""

    def legend(self) -> str:
        """How a series is called in the panel."""
        return " ".join([*([self.name] if self.name else []), *(text_of(label) for label in self.labels)]) or "all"


@dataclass(frozen=True)
class Panel:
    """A title that says what is shown, queries, a unit, and how it is drawn; a line at `limit` where there is one."""

    title: str
    unit: str
    queries: Sequence[Query]
    kind: str = "timeseries"  # or stat, bargauge
    width: int = 12
    limit: float | None = None
    too_low: bool = False  # what is bad lies below the limit, not above
    about: str = ""


@dataclass(frozen=True)
class Dashboard:
    """Panels under a title; by route where the reader may choose some."""

    title: str
    panels: Sequence[Panel]
    by_route: bool = False


def as_json(uid: str, dashboard: Dashboard) -> Json:
    """The file that Grafana reads."""
    places = _places(dashboard.panels)
    panels = [_panel(i, p, place) for i, (p, place) in enumerate(zip(dashboard.panels, places, strict=True), start=1)]
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
        "annotations": {"list": [_alerts_as_marks()]},
        "links": [{"type": "dashboards", "title": "Others", "tags": [TAG], "asDropdown": True, "keepTime": True}],
        "templating": {"list": [_source_choice(), *([_route_choice()] if dashboard.by_route else [])]},
        "panels": panels,
    }


def _places(panels: Iterable[Panel]) -> Iterator[Json]:
    """Fill rows from the left; a panel that does not fit any more begins the next."""
    x = y = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        yield {"x": x, "y": y, "w": panel.width, "h": HEIGHT}
        x += panel.width


def _panel(number: int, panel: Panel, place: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **_thresholds(panel)}, "overrides": []},
        "options": _options(panel.kind),
        "targets": [_target(chr(ord("A") + i), query, panel.kind) for i, query in enumerate(panel.queries)],
    }


def _thresholds(panel: Panel) -> Json:
    if panel.limit is None:
        return {"color": {"mode": "palette-classic"}}
    below, above = ("red", "green") if panel.too_low else ("green", "red")
    steps = [{"color": below, "value": None}, {"color": above, "value": panel.limit}]
    shown = {"custom": {"thresholdsStyle": {"mode": "dashed"}}} if panel.kind == "timeseries" else {}
    mode = "palette-classic" if panel.kind == "timeseries" else "thresholds"
    return {"color": {"mode": mode}, "thresholds": {"mode": "absolute", "steps": steps}, **shown}


def _options(kind: str) -> Json:
    if kind == "timeseries":
        return {
            "legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    newest = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return {**newest, **({"displayMode": "basic", "orientation": "horizontal"} if kind == "bargauge" else {})}


def _target(letter: str, query: Query, kind: str) -> Json:
    target = {"refId": letter, "datasource": SOURCE, "expr": query.text, "legendFormat": query.legend()}
    return {**target, "instant": kind == "bargauge", "range": kind != "bargauge"}


def _source_choice() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}


def _route_choice() -> Json:
    return {
        "name": "endpoint",
        "label": "Route",
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({series('http_requests_total')}, endpoint)",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _alerts_as_marks() -> Json:
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing"}',
        "titleFormat": text_of("alertname"),
        "textFormat": f"{text_of('method')} {text_of('endpoint')}",
    }
