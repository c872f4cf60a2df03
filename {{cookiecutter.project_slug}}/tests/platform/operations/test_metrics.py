"""Metrics of one process; `running/test_web.py` counts over several."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from app import create_app
from app.platform.operations.metrics import BUCKETS, METHODS, metrics_response
from app.platform.telemetry import multiprocess_metrics
from tests.environments import OPERATOR, basic_environment
from tests.platform.settings.test_checks import PRODUCTION
from tests.scrapes import values_by_labels


@pytest.mark.req("O1")
def test_counts_requests_by_method_route_and_status(client: FlaskClient) -> None:
    labels = (("endpoint", "/health"), ("method", "GET"), ("status", "200"))
    before = values_by_labels(client, "http_requests_total").get(labels, 0)

    for _ in range(3):
        client.get("/health")

    assert values_by_labels(client, "http_requests_total")[labels] - before == 3
    assert values_by_labels(client, "http_request_duration_seconds_count")[labels] - before == 3


@pytest.mark.req("O1", "O2")
def test_scrape_ignores_incomplete_metric_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocess_metrics, "METRICS_DIR", tmp_path)
    (tmp_path / "counter_7.db").touch()
    (tmp_path / "counter_8.db").write_bytes(bytes(4096))  # no counts yet
    counts = MmapedDict(str(tmp_path / "counter_9.db"))
    counts.write_value(mmap_key("test_total", "test_total", [], [], ""), 5, 0)
    counts.close()

    response = metrics_response()

    assert response.status_code == 200
    assert b"test_total 5.0" in response.data


@pytest.mark.req("O1")
def test_unknown_paths_and_methods_create_no_labels(client: FlaskClient) -> None:
    for n in range(20):
        client.get(f"/nothing/{n}")
        client.open("/health", method=f"METHOD{n}")

    labels = [dict(labels) for labels in values_by_labels(client, "http_requests_total")]
    assert not [label for label in labels if "/nothing" in label["endpoint"]]
    assert {"endpoint": "unmatched", "method": "GET", "status": "404"} in labels
    assert {label["method"] for label in labels} <= {*METHODS, "OTHER"}


@pytest.mark.req("O1")
def test_histogram_has_the_declared_buckets(client: FlaskClient) -> None:
    client.get("/health")

    edges = {dict(labels)["le"] for labels in values_by_labels(client, "http_request_duration_seconds_bucket")}
    assert edges == {str(float(edge)) for edge in BUCKETS} | {"+Inf"}


@pytest.mark.req("O1")
def test_only_the_scrape_itself_is_in_progress(client: FlaskClient) -> None:
    client.get("/health")
    client.get("/nothing")

    values = values_by_labels(client, "http_requests_in_progress")
    assert {labels: value for labels, value in values.items() if value} == {
        (("endpoint", "/metrics"), ("method", "GET")): 1
    }


@pytest.mark.parametrize("path", ["/metrics", "/prometheus/metrics-http"])
@pytest.mark.req("O1")
def test_metrics_require_the_token(client: FlaskClient, path: str) -> None:
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
        ("10.1.2.3", {"X-Real-IP": "10.9.9.9"}, 403),
        ("10.1.2.3", {"Via": "1.1 proxy"}, 403),
        ("::ffff:10.1.2.3", {}, 200),
        ("::ffff:8.8.8.8", {}, 403),
    ],
)
@pytest.mark.req("O1")
def test_without_token_only_private_clients_may_read(address: str, headers: dict[str, str], status: int) -> None:
    client = create_app(basic_environment(METRICS_TOKEN="")).test_client()

    response = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})

    assert response.status_code == status


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", ""])
@pytest.mark.fault("F35")
@pytest.mark.req("O1", "S10")
def test_production_without_token_is_closed_to_every_address(address: str) -> None:
    client = create_app(PRODUCTION).test_client()

    for path in ("/metrics", "/prometheus/metrics-http"):
        response = client.get(path, environ_base={"REMOTE_ADDR": address})

        assert response.status_code == 403
        assert response.get_json()["message"] == "Closed until METRICS_TOKEN is set."
