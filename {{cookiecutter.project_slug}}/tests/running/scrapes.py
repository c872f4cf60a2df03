"""Reads the metrics of a running web process."""

from __future__ import annotations

from tests import scrapes
from tests.environments import OPERATOR
from tests.running.conftest import Web
from tests.scrapes import parse_samples


def samples(web: Web, name: str) -> list[tuple[dict[str, str], float]]:
    """Return the labels and the value of each sample of a metric."""
    found = parse_samples(web.get("/metrics", headers=OPERATOR).text)
    return [(sample.labels, sample.value) for sample in found if sample.name == name]


def total(web: Web, name: str, **labels: str) -> float:
    """Return the sum of the samples with these labels."""
    return scrapes.total(web.get("/metrics", headers=OPERATOR).text, name, **labels)
