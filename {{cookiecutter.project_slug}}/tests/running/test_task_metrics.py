"""Tasks, counted over the processes of a real worker, some of which are recycled and some killed."""

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
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from tests.conftest import MIGRATED
from tests.environments import OPERATOR, ROOT, basic_environment, production_environment
from tests.running.conftest import Web
from tests.servers import PostgresServer, RedisServer, RunningService, free_port, start_redis, wait_until

pytestmark = pytest.mark.running


class Worker:
    """A running worker, and what it serves."""

    def __init__(self, process: RunningService, port: int, folder: Path) -> None:
        self.process, self.port, self.folder = process, port, folder

    def get(self, path: str = "/metrics", **options: object) -> requests.Response:
        given = {"headers": OPERATOR, **options}
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10, **given)  # type: ignore[arg-type] # passed on

    def total(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self.get().text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def count(self, task: str, state: str) -> float:
        return self.total("celery_tasks_total", task=task, state=state)


@contextmanager
def sending(redis_url: str) -> Iterator[Celery]:
    """Somebody who sends tasks."""
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_url))
    yield app.extensions["celery"]
    app.extensions["celery"].close()


@contextmanager
def working(database_url: str, redis_url: str, folder: Path) -> Iterator[Worker]:
    """A worker of three processes, each of which is replaced after twenty tasks."""
    port = free_port()
    settings = {"WORKER_METRICS_PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    environment = production_environment(database_url, redis_url, **settings)
    options = ["--concurrency", "3", "--max-tasks-per-child", "20", "--loglevel", "INFO"]
    command = ["celery", "--app", "tests.running.planted:celery", "worker", *options]
    with RunningService(command, environment, folder=ROOT) as process:
        process.wait_until_listening(port, 60)
        yield Worker(process, port, folder)


@pytest.fixture
def celery(redis: RedisServer) -> Iterator[Celery]:
    with sending(redis.url) as sender:
        yield sender


@pytest.fixture
def worker(migrated_database: str, redis: RedisServer, tmp_path: Path) -> Iterator[Worker]:
    """A worker to kill and to stop."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    with working(migrated_database, redis.url, folder) as worker:
        yield worker


@pytest.fixture(scope="module")
def shared(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Worker, Celery]]:
    """A worker that goes on, with a queue of its own, and who sends it tasks."""
    database, folder = postgres.create_database("of_a_worker", template=MIGRATED), tmp_path_factory.mktemp("metrics")
    with start_redis() as redis, sending(redis.url) as sender, working(database, redis.url, folder) as worker:
        yield worker, sender


@pytest.mark.req("O2")
def test_counts_are_exact_over_processes_that_are_recycled_and_killed(
    worker: Worker, celery: Celery, tmp_path: Path
) -> None:
    for _ in range(150):
        celery.send_task("planted.work", [0.01])
    for _ in range(20):
        celery.send_task("planted.fail")
    for _ in range(30):
        celery.send_task("planted.try_twice")
    celery.send_task("planted.die_once", [str(tmp_path / "mark")])

    assert wait_until(lambda: worker.count("planted.try_twice", "success") == 30, 60), worker.process.output()
    assert wait_until(lambda: worker.count("planted.work", "success") == 150, 30)
    assert wait_until(lambda: worker.count("planted.die_once", "success") == 1, 30), worker.process.output()
    assert worker.count("planted.die_once", "lost") == 1
    assert worker.count("planted.fail", "failure") == 20
    assert worker.count("planted.try_twice", "retry") == 30
    assert worker.total("celery_task_retries_total", task="planted.try_twice") == 30
    assert worker.total("celery_tasks_total") == 150 + 20 + 2 * 30 + 2
    assert worker.total("celery_task_duration_seconds_count", task="planted.work") == 150
    assert worker.total("celery_task_duration_seconds_sum", task="planted.work") >= 1.5
    assert worker.total("celery_task_wait_seconds_count", task="planted.work") == 150
    assert worker.total("celery_task_wait_seconds_count", task="planted.try_twice") == 60
    # What was given back has waited once already.
    assert worker.total("celery_task_wait_seconds_count", task="planted.die_once") == 1
    files = {path.name.rpartition("_")[2] for path in worker.folder.glob("*.db")}
    assert files == {"master.db", "0.db", "1.db", "2.db"}


@pytest.mark.req("O2")
def test_a_task_that_is_killed_from_outside_is_counted_as_lost_and_then_as_done(worker: Worker, celery: Celery) -> None:
    celery.send_task("planted.work", [3])
    assert wait_until(lambda: worker.process.output().count("task begins") == 1, 20)

    for child in worker.process.children():
        os.kill(child, signal.SIGKILL)

    assert wait_until(lambda: worker.count("planted.work", "success") == 1, 60), worker.process.output()
    assert worker.count("planted.work", "lost") == 1
    assert worker.total("celery_tasks_total") == 2


@pytest.mark.req("O2")
def test_a_task_waits_from_the_time_it_is_due(shared: tuple[Worker, Celery]) -> None:
    worker, celery = shared
    celery.send_task("planted.try_twice")  # whose second try is due a second after the first

    assert wait_until(lambda: worker.count("planted.try_twice", "success") == 1, 30)
    assert worker.total("celery_task_wait_seconds_count", task="planted.try_twice") == 2
    assert 0 < worker.total("celery_task_wait_seconds_sum", task="planted.try_twice") < 0.9


@pytest.mark.req("O2")
def test_a_time_limit_counts_as_a_failure(shared: tuple[Worker, Celery]) -> None:
    worker, celery = shared
    celery.send_task("planted.overrun")

    assert wait_until(lambda: worker.count("planted.overrun", "failure") == 1, 30), worker.process.output()
    assert worker.total("celery_task_duration_seconds_count", task="planted.overrun") == 1
    assert 2 <= worker.total("celery_task_duration_seconds_sum", task="planted.overrun") < 6


@pytest.mark.req("O2")
def test_a_task_that_came_too_late_is_counted(shared: tuple[Worker, Celery]) -> None:
    worker, celery = shared
    celery.send_task("planted.work", expires=datetime.now(UTC) - timedelta(seconds=1))

    assert wait_until(lambda: worker.count("planted.work", "expired") == 1, 30)


@pytest.mark.req("O2")
def test_a_worker_shows_its_figures_to_operators_and_nothing_else_to_anybody(shared: tuple[Worker, Celery]) -> None:
    worker, _ = shared

    assert worker.get().status_code == 200
    assert worker.get(headers={}).status_code == 401
    assert worker.get(headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert worker.get("/api/v1/users/me").status_code == 404
    assert worker.get("/health").status_code == 404


@pytest.mark.req("O2")
def test_a_worker_leaves_no_files_behind(worker: Worker) -> None:
    assert worker.process.stop() == 0

    assert not worker.folder.exists()


@pytest.mark.req("O2", "S7")
def test_the_entrypoint_has_a_worker_count_and_a_taken_port_does_not_stop_it(
    migrated_database: str, redis: RedisServer, celery: Celery, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"WORKER_METRICS_PORT": str(port), "TMPDIR": str(tmp_path), "CELERY_CONCURRENCY": "1"}
    environment = production_environment(migrated_database, redis.url, **settings)
    start = ["./entrypoint.sh", "worker"]

    with RunningService(start, environment, folder=ROOT) as first:
        first.wait_until_listening(port, 60)
        with RunningService(start, environment, folder=ROOT) as second:
            second.wait_until_printed("metrics are not served on port", 60)
            for _ in range(20):
                celery.send_task("heartbeat")
            assert wait_until(lambda: "task ends" in second.output(), 30)
            assert second.stop() == 0
        celery.send_task("heartbeat")
        assert wait_until(lambda: Worker(first, port, tmp_path).count("heartbeat", "success") >= 1, 30)
        assert first.stop() == 0

    assert not list(tmp_path.glob("worker-metrics.*"))


@pytest.mark.req("O2")
def test_web_processes_tell_what_waits_also_when_there_is_no_worker(web: Web, celery: Celery) -> None:
    for _ in range(7):
        celery.send_task("heartbeat")

    text = web.get("/metrics", headers=OPERATOR).text

    assert 'celery_queue_length{queue="service-under-test.default"} 7.0' in text
    assert "celery_unacknowledged_tasks 0.0" in text
    assert "celery_worker_heartbeat_age_seconds " not in text  # nobody has run one
