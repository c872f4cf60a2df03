"""The task metrics of a real worker whose processes are recycled and killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from celery import Celery

from app import create_app
from tests import scrapes
from tests.conftest import MIGRATED
from tests.environments import OPERATOR, ROOT, basic_environment, production_environment
from tests.running.conftest import Web
from tests.servers import PostgresServer, RedisServer, RunningService, free_port, start_redis, wait_until

pytestmark = pytest.mark.running


class Worker:
    """A running worker and its metrics."""

    def __init__(self, process: RunningService, port: int, folder: Path) -> None:
        self.process, self.port, self.folder = process, port, folder

    def get(self, path: str = "/metrics", **options: object) -> requests.Response:
        arguments = {"headers": OPERATOR, **options}
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=60, **arguments)  # type: ignore[arg-type] # passed on

    def total(self, name: str, **labels: str) -> float:
        return scrapes.total(self.get().text, name, **labels)

    def count(self, task: str, state: str) -> float:
        return self.total("celery_tasks_total", task=task, state=state)


@contextmanager
def task_sender(redis_url: str) -> Iterator[Celery]:
    """Run an app that sends tasks."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_url))
    yield app.extensions["celery"]
    app.extensions["celery"].close()


@contextmanager
def running_worker(database_url: str, redis_url: str, folder: Path) -> Iterator[Worker]:
    """Run a worker with three processes, each replaced after twenty tasks."""
    port = free_port()
    settings = {"WORKER_METRICS_PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    environment = production_environment(database_url, redis_url, **settings)
    options = ["--concurrency", "3", "--max-tasks-per-child", "20", "--loglevel", "INFO"]
    command = ["celery", "--app", "tests.running.fault_app:celery", "worker", *options]
    with RunningService(command, environment, folder=ROOT) as process:
        process.wait_until_listening(port, 300)
        yield Worker(process, port, folder)


@pytest.fixture
def celery(redis: RedisServer) -> Iterator[Celery]:
    with task_sender(redis.url) as sender:
        yield sender


@pytest.fixture
def worker(migrated_database: str, redis: RedisServer, tmp_path: Path) -> Iterator[Worker]:
    """A worker that the test may kill or stop."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    with running_worker(migrated_database, redis.url, folder) as worker:
        yield worker


@pytest.fixture(scope="module")
def shared_worker(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Worker, Celery]]:
    """A worker with its own queue that tests share, and a sender of tasks."""
    database, folder = postgres.create_database("of_a_worker", template=MIGRATED), tmp_path_factory.mktemp("metrics")
    with (
        start_redis() as redis,
        task_sender(redis.url) as sender,
        running_worker(database, redis.url, folder) as worker,
    ):
        yield worker, sender


@pytest.mark.req("O2")
def test_counts_are_exact_when_processes_are_recycled_and_killed(
    worker: Worker, celery: Celery, tmp_path: Path
) -> None:
    for _ in range(150):
        celery.send_task("fault.work", [0.01])
    for _ in range(20):
        celery.send_task("fault.fail")
    for _ in range(30):
        celery.send_task("fault.try_twice")
    celery.send_task("fault.die_once", [str(tmp_path / "marker")])

    assert wait_until(lambda: worker.count("fault.try_twice", "success") == 30, 300), worker.process.output()
    assert wait_until(lambda: worker.count("fault.work", "success") == 150, 300)
    assert wait_until(lambda: worker.count("fault.die_once", "success") == 1, 300), worker.process.output()
    assert worker.count("fault.die_once", "lost") == 1
    assert worker.count("fault.fail", "failure") == 20
    assert worker.count("fault.try_twice", "retry") == 30
    assert worker.total("celery_task_retries_total", task="fault.try_twice") == 30
    assert worker.total("celery_tasks_total") == 150 + 20 + 2 * 30 + 2
    assert worker.total("celery_task_duration_seconds_count", task="fault.work") == 150
    assert worker.total("celery_task_duration_seconds_sum", task="fault.work") >= 1.5
    assert worker.total("celery_task_wait_seconds_count", task="fault.work") == 150
    assert worker.total("celery_task_wait_seconds_count", task="fault.try_twice") == 60
    # The wait of a redelivered task is counted once.
    assert worker.total("celery_task_wait_seconds_count", task="fault.die_once") == 1
    files = {path.name.rpartition("_")[2] for path in worker.folder.glob("*.db")}
    assert files == {"master.db", "0.db", "1.db", "2.db"}


@pytest.mark.req("O2")
def test_killed_task_counts_as_lost_then_as_success(worker: Worker, celery: Celery, tmp_path: Path) -> None:
    celery.send_task("fault.wait_for", [str(tmp_path / "go")])
    assert wait_until(lambda: worker.process.output().count("task begins") == 1, 120)

    for child in worker.process.children():
        os.kill(child, signal.SIGKILL)
    (tmp_path / "go").touch()

    assert wait_until(lambda: worker.count("fault.wait_for", "success") == 1, 300), worker.process.output()
    assert worker.count("fault.wait_for", "lost") == 1
    assert worker.total("celery_tasks_total") == 2


@pytest.mark.req("O2")
def test_wait_time_starts_when_the_task_is_due(shared_worker: tuple[Worker, Celery]) -> None:
    worker, celery = shared_worker
    celery.send_task("fault.try_twice", [10])  # the second try is due ten seconds after the first

    assert wait_until(lambda: worker.count("fault.try_twice", "success") == 1, 300)
    assert worker.total("celery_task_wait_seconds_count", task="fault.try_twice") == 2
    assert 0 < worker.total("celery_task_wait_seconds_sum", task="fault.try_twice") < 9


@pytest.mark.req("O2")
def test_time_limit_counts_as_failure(shared_worker: tuple[Worker, Celery]) -> None:
    worker, celery = shared_worker
    celery.send_task("fault.overrun")

    assert wait_until(lambda: worker.count("fault.overrun", "failure") == 1, 300), worker.process.output()
    assert worker.total("celery_task_duration_seconds_count", task="fault.overrun") == 1
    assert 2 <= worker.total("celery_task_duration_seconds_sum", task="fault.overrun") < 60


@pytest.mark.req("O2")
def test_expired_task_is_counted(shared_worker: tuple[Worker, Celery]) -> None:
    worker, celery = shared_worker
    celery.send_task("fault.work", expires=datetime.now(UTC) - timedelta(seconds=1))

    assert wait_until(lambda: worker.count("fault.work", "expired") == 1, 300)


@pytest.mark.req("O2")
def test_worker_serves_only_metrics_and_only_to_operators(shared_worker: tuple[Worker, Celery]) -> None:
    worker, _ = shared_worker

    assert worker.get().status_code == 200
    assert worker.get(headers={}).status_code == 401
    assert worker.get(headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert worker.get("/api/v1/users/me").status_code == 404
    assert worker.get("/health").status_code == 404


@pytest.mark.req("O2")
def test_worker_removes_its_metric_files(worker: Worker) -> None:
    assert worker.process.stop() == 0

    assert not worker.folder.exists()


@pytest.mark.req("O2", "S7")
def test_worker_starts_when_its_metrics_port_is_taken(
    migrated_database: str, redis: RedisServer, celery: Celery, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"WORKER_METRICS_PORT": str(port), "TMPDIR": str(tmp_path), "CELERY_CONCURRENCY": "1"}
    environment = production_environment(migrated_database, redis.url, **settings)
    start = ["./entrypoint.sh", "worker"]

    with RunningService(start, environment, folder=ROOT) as first:
        first.wait_until_listening(port, 300)
        with RunningService(start, environment, folder=ROOT) as second:
            second.wait_until_printed("metrics are not served on port", 300)
            for _ in range(20):
                celery.send_task("heartbeat")
            assert wait_until(lambda: "task ends" in second.output(), 300)
            assert second.stop() == 0
        celery.send_task("heartbeat")
        assert wait_until(lambda: Worker(first, port, tmp_path).count("heartbeat", "success") >= 1, 300)
        assert first.stop() == 0

    assert not list(tmp_path.glob("worker-metrics.*"))


@pytest.mark.req("O2")
def test_web_processes_report_the_queue_without_a_worker(web: Web, celery: Celery) -> None:
    for _ in range(7):
        celery.send_task("heartbeat")

    text = web.get("/metrics", headers=OPERATOR).text

    assert 'celery_queue_length{queue="service-under-test.default"} 7.0' in text
    assert "celery_unacknowledged_tasks 0.0" in text
    assert "celery_worker_heartbeat_age_seconds " not in text  # no worker has run one
