"""Metrics of one process; `running/test_metrics.py` counts over several."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from app.observability import slots
from app.observability.metrics import BUCKETS, as_text
from tests.environments import OPERATOR, basic_environment


def samples(client: FlaskClient, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    text = client.get("/metrics", headers=OPERATOR).text
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.req("O1")
def test_requests_are_counted_by_method_route_and_status(client: FlaskClient) -> None:
    labels = (("endpoint", "/health"), ("method", "GET"), ("status", "200"))
    before = samples(client, "http_requests_total").get(labels, 0)

    for _ in range(3):
        client.get("/health")

    assert samples(client, "http_requests_total")[labels] - before == 3
    assert samples(client, "http_request_duration_seconds_count")[labels] - before == 3


@pytest.mark.req("O1", "O2")
def test_a_scrape_passes_by_what_a_process_has_just_made_or_was_killed_while_making(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "FOLDER", tmp_path)
    (tmp_path / "counter_7.db").touch()
    (tmp_path / "counter_8.db").write_bytes(bytes(4096))  # nothing is counted yet
    counts = MmapedDict(str(tmp_path / "counter_9.db"))
    counts.write_value(mmap_key("planted_total", "planted_total", [], [], ""), 5, 0)
    counts.close()

    answer = as_text()

    assert answer.status_code == 200
    assert b"planted_total 5.0" in answer.data


@pytest.mark.req("O1")
def test_what_callers_make_up_makes_no_label(client: FlaskClient) -> None:
    for n in range(20):
        client.get(f"/nothing/{n}")
        client.open("/health", method=f"METHOD{n}")

    labels = [dict(labels) for labels in samples(client, "http_requests_total")]
    assert not [label for label in labels if "/nothing" in label["endpoint"]]
    assert {"endpoint": "unmatched", "method": "GET", "status": "404"} in labels
    assert {label["method"] for label in labels} <= {
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "OTHER",
    }


@pytest.mark.req("O1")
def test_the_buckets_are_those_that_alerts_are_written_for(client: FlaskClient) -> None:
    client.get("/health")

    edges = {dict(labels)["le"] for labels in samples(client, "http_request_duration_seconds_bucket")}
    assert edges == {str(float(edge)) for edge in BUCKETS} | {"+Inf"}


@pytest.mark.req("O1")
def test_only_the_request_that_asks_is_in_progress(client: FlaskClient) -> None:
    client.get("/health")
    client.get("/nothing")

    assert {labels: value for labels, value in samples(client, "http_requests_in_progress").items() if value} == {
        (("endpoint", "/metrics"), ("method", "GET")): 1
    }


@pytest.mark.parametrize("path", ["/metrics", "/prometheus/metrics-http"])
@pytest.mark.req("O1")
def test_metrics_need_the_operators_token(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get(path, headers=OPERATOR).status_code == 200


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("10.1.2.3", {}, 200),
        ("8.8.8.8", {}, 403),
        ("10.1.2.3", {"X-Forwarded-For": "10.9.9.9"}, 403),
        ("10.1.2.3", {"Forwarded": "for=10.9.9.9"}, 403),
    ],
)
@pytest.mark.req("O1")
def test_without_a_token_only_neighbours_may_read(address: str, headers: dict[str, str], status: int) -> None:
    client = create_app(basic_environment(METRICS_TOKEN="")).test_client()

    answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})

    assert answer.status_code == status
