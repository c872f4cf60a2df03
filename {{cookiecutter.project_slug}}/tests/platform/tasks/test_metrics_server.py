"""The metrics server of a worker, in this process; `running/test_task_metrics.py` starts a real worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from celery import Celery, signals
from flask import Flask

from app import create_app
from app.platform.settings.declarations import settings_of
from app.platform.tasks import metrics_server
from tests.environments import OPERATOR, SECRETS, basic_environment
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.req("O2")


@dataclass(eq=False)
class Consumer:
    """The part of Celery's consumer that the signal's receivers read."""

    app: Celery


@pytest.fixture
def worker_app() -> Flask:
    """An app whose worker serves metrics to operators."""
    address = {"BIND_ADDRESS": "127.0.0.1", "WORKER_METRICS_PORT": str(free_port())}
    return create_app(basic_environment(DATABASE_URL="sqlite://", METRICS_TOKEN=SECRETS["METRICS_TOKEN"], **address))


@pytest.fixture
def url(worker_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of the server, which starts when Celery's worker is ready."""
    servers: list[metrics_server.MetricsServer] = []
    monkeypatch.setattr(metrics_server, "_servers", servers)
    signals.worker_ready.send(sender=Consumer(worker_app.extensions["celery"]))
    assert wait_until(lambda: bool(servers), 60)
    yield f"http://127.0.0.1:{settings_of(worker_app).WORKER_METRICS_PORT}"
    servers[0].shutdown()
    servers[0].server_close()


def test_operators_read_the_metrics(url: str) -> None:
    allowed = requests.get(f"{url}/metrics", headers=OPERATOR, timeout=60)
    rejected = requests.get(f"{url}/metrics", timeout=60)
    unknown = requests.get(f"{url}/", headers=OPERATOR, timeout=60)

    assert allowed.status_code == 200
    assert "celery_tasks_total" in allowed.text
    assert (rejected.status_code, rejected.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert unknown.status_code == 404


@pytest.mark.usefixtures("url")
def test_child_process_closes_the_port() -> None:
    (server,) = metrics_server._servers

    metrics_server._close_in_child()

    assert server.socket.fileno() == -1


def test_taken_port_is_an_error_in_the_log(worker_app: Flask, url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        metrics_server._serve(worker_app)

    assert f"metrics are not served on port {url.rpartition(':')[2]}" in caplog.text
