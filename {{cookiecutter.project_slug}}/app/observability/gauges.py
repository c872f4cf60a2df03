"""Figures that are not counted but asked for when somebody scrapes: the length of a queue, the age of a backup.

Whoever knows a figure registers how to ask for it. All are asked at the same time, within `PING_SECONDS`; one that has
no answer is not in the scrape, which never fails for it. Every replica asks for itself, so queries take the `max`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from flask import Flask
from prometheus_client.core import GaugeMetricFamily, Metric

from app.pings import PING_SECONDS, Ping

Figure = float | Mapping[str, float] | None


class Gauge:
    """A figure, or one for each value of a label, and how to ask for it."""

    def __init__(self, app: Flask, name: str, text: str, ask: Callable[[], Figure], label: str) -> None:
        self._app, self._name, self._text, self._ask, self._label = app, name, text, ask, label
        self._figure: Figure = None
        self.ping = Ping(self._run)

    def _run(self) -> None:
        with self._app.app_context():
            self._figure = self._ask()

    def metric(self) -> Metric | None:
        """The last answer; None where there is nothing to tell."""
        if self._figure is None:
            return None
        labels = [self._label] if self._label else []
        family = GaugeMetricFamily(self._name, self._text, labels=labels)
        figures = self._figure if isinstance(self._figure, Mapping) else {"": self._figure}
        for value, figure in figures.items():
            family.add_metric([value] if self._label else [], figure)
        return family


def register_gauge(app: Flask, name: str, text: str, ask: Callable[[], Figure], *, label: str = "") -> None:
    """Show what `ask` tells in every scrape: a figure, or with a label one for each of its values, or None.

    It is called in a thread of its own with an app context, and may raise where the figure cannot be had.
    """
    _gauges(app)[name] = Gauge(app, name, text, ask, label)


def ask_gauges(app: Flask) -> Iterator[Metric]:
    """Every figure that could be had; takes at most `PING_SECONDS` altogether."""
    deadline = time.monotonic() + PING_SECONDS
    asked = [(gauge, gauge.ping.start()) for gauge in _gauges(app).values()]
    for gauge, thread in asked:
        if gauge.ping.answer(thread, deadline).verdict == "ok" and (metric := gauge.metric()):
            yield metric


def _gauges(app: Flask) -> dict[str, Gauge]:
    gauges: dict[str, Gauge] = app.extensions.setdefault("gauges", {})
    return gauges
