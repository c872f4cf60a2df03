"""Gauges that are read when Prometheus scrapes: the length of a queue, the age of a backup.

A module registers a function that reads its value. All are read in parallel, within `CHECK_TIMEOUT_SECONDS`; a gauge
without a value is left out of the scrape and does not fail it. Every replica reports each gauge, so queries use `max`
or `min`, not `sum`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from flask import Flask
from prometheus_client.core import GaugeMetricFamily, Metric

from app.platform.components import platform_of
from app.platform.telemetry.dependency_checks import CHECK_TIMEOUT_SECONDS, DependencyCheck

GaugeValue = float | Mapping[str, float] | None


class ScrapeGauge:
    """A gauge with one value, or one value for each value of a label."""

    def __init__(self, app: Flask, name: str, help_text: str, read: Callable[[], GaugeValue], label: str) -> None:
        self._app, self._name, self._help, self._read, self._label = app, name, help_text, read, label
        self._value: GaugeValue = None
        self.check = DependencyCheck(self._run)

    def _run(self) -> None:
        with self._app.app_context():
            self._value = self._read()

    def metric(self) -> Metric | None:
        """Return the last value as a metric; None if there is no value."""
        if self._value is None:
            return None
        labels = [self._label] if self._label else []
        family = GaugeMetricFamily(self._name, self._help, labels=labels)
        values = self._value if isinstance(self._value, Mapping) else {"": self._value}
        for label, value in values.items():
            family.add_metric([label] if self._label else [], value)
        return family


class Gauges(dict[str, ScrapeGauge]):
    """The gauges of one app, by name."""


def register_gauge(app: Flask, name: str, help_text: str, read: Callable[[], GaugeValue], *, label: str = "") -> None:
    """Add a gauge to every scrape; `read` returns a value, or with a label a mapping from label to value, or None.

    `read` runs in a separate thread with an app context, and may raise if it cannot read the value.
    """
    platform_of(app).get_or_create(Gauges)[name] = ScrapeGauge(app, name, help_text, read, label)


def collect_gauges(app: Flask) -> Iterator[Metric]:
    """Yield every gauge that has a value; takes at most `CHECK_TIMEOUT_SECONDS` in total."""
    deadline = time.monotonic() + CHECK_TIMEOUT_SECONDS
    started = [(gauge, gauge.check.start()) for gauge in platform_of(app).get_or_create(Gauges).values()]
    for gauge, thread in started:
        if gauge.check.result(thread, deadline).status == "ok" and (metric := gauge.metric()):
            yield metric
