"""Metrics of tasks that run in this process; `running/test_task_metrics.py` starts a real worker."""

from __future__ import annotations

import json

import pytest
from celery import Celery, Task
from prometheus_client import REGISTRY
from redis import Redis

from app import create_app
from app.platform.tasks.celery import heartbeat
from tests.environments import basic_environment
from tests.servers import RedisServer

pytestmark = pytest.mark.req("O2")


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.fixture
def celery() -> Celery:
    """The Celery of an app without a broker: tasks run immediately."""
    return create_app(basic_environment(DATABASE_URL="sqlite://")).extensions["celery"]


def test_runs_are_counted_by_result(celery: Celery) -> None:
    @celery.task(name="test.counted", bind=True, max_retries=1)
    def task(self: Task, outcome: str) -> None:
        if outcome == "failure":
            raise ValueError("on purpose")
        if outcome == "retry" and not self.request.retries:
            raise self.retry(countdown=0)

    for outcome in ("success", "failure", "retry"):
        task.delay(outcome)

    states = {
        state: sample("celery_tasks_total", task="test.counted", state=state)
        for state in ("success", "failure", "retry")
    }
    assert states == {"success": 2, "failure": 1, "retry": 1}
    assert sample("celery_task_retries_total", task="test.counted") == 1
    assert sample("celery_task_duration_seconds_count", task="test.counted") == 4
    assert 0 <= sample("celery_task_duration_seconds_sum", task="test.counted") < 60


def test_tasks_that_run_at_once_have_no_wait(celery: Celery) -> None:
    @celery.task(name="test.at_once")
    def task() -> None:
        pass

    task.delay()

    assert sample("celery_task_wait_seconds_count", task="test.at_once") == 0


def test_messages_contain_the_time_of_publishing(redis_server: RedisServer) -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://", REDIS_URL=redis_server.url))
    with Redis.from_url(redis_server.url) as redis, app.app_context():
        redis.flushdb()
        heartbeat.apply_async()

        (message,) = redis.lrange(app.extensions["celery"].conf.task_default_queue, 0, -1)
        redis.flushdb()
    app.extensions["celery"].close()

    assert isinstance(json.loads(message)["headers"]["published_at"], float)
