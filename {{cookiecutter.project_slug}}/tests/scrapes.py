"""Reads metrics in Prometheus's text format."""

from __future__ import annotations

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.environments import OPERATOR


def parse_samples(text: str) -> list[Sample]:
    """Return the samples of a scrape."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def total(text: str, name: str, **labels: str) -> float:
    """Return the sum of the samples of a metric that have these labels."""
    found = [sample for sample in parse_samples(text) if sample.name == name]
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())


def values_by_labels(client: FlaskClient, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the value of each sample of a metric by its sorted labels, from a scrape of the app."""
    samples = parse_samples(client.get("/metrics", headers=OPERATOR).text)
    return {tuple(sorted(sample.labels.items())): sample.value for sample in samples if sample.name == name}
