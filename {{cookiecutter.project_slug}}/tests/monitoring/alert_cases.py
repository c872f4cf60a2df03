"""A case for an alert: the scraped samples, and whether the alert fires.

The cases of a feature's alerts are `CASES` in `tests/<feature>/alert_cases.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from app.features import FEATURES
from tests.feature_modules import require_module


@dataclass(frozen=True)
class AlertCase:
    """Samples of one scrape per minute in promtool's notation, and whether the alert fires after `minutes`.

    `labels`: of the alert, besides severity and job. `value`: how its message shows the value of the expression.
    """

    alert: str
    series: Mapping[str, str]
    fires: bool
    minutes: int = 30
    labels: Mapping[str, str] = field(default_factory=dict)
    value: str = ""


def feature_cases() -> Iterator[AlertCase]:
    """The cases of every feature that declares alerts."""
    for feature in FEATURES:
        if feature.alerts:
            module = require_module(feature.name, "alert_cases", "CASES", reason="alerts", example="encryption_keys")
            yield from module.CASES
