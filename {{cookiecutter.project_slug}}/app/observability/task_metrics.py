"""Tasks in figures: how many ended how, how long they waited and ran, how many wait now.

A task is counted by the process that ran it, in the files of its slot (`slots.py`); what a process could not count any
more because it was killed or took too long, the worker's main process counts for it. The main process also serves the
figures, on `WORKER_METRICS_PORT`; the length of the queue is asked for by the web processes (`gauges.py`), which are
there when no worker is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from billiard import current_process
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, Task, signals
from celery.worker.request import Request
from flask import Flask
from prometheus_client import Counter, Histogram
from redis import Redis

from app.observability import slots, worker_port
from app.observability.gauges import register_gauge
from app.redis_client import connect, redis_of
from app.settings import settings_of
from app.worker import HEARTBEAT_KEY

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)  # seconds
UNACKED = "unacked"  # where kombu keeps what was handed out and is not done yet, of all queues
ENDINGS = {
    "SUCCESS": "success",
    "FAILURE": "failure",
    "RETRY": "retry",
    "IGNORED": "ignored",
    "REJECTED": "rejected",
}

TASKS = Counter("celery_tasks_total", "Runs of tasks, by how they ended", ["task", "state"])
RETRIES = Counter("celery_task_retries_total", "Runs of tasks that ended in another try", ["task"])
DURATION = Histogram("celery_task_duration_seconds", "Seconds that a task ran", ["task"], buckets=BUCKETS)
WAIT = Histogram(
    "celery_task_wait_seconds", "Seconds from the time a task was due until it ran", ["task"], buckets=BUCKETS
)


def init_app(app: Flask) -> None:
    """Have workers serve their figures, and scrapes ask for the queue and the heartbeat, where there is a queue."""
    worker_port.init_app(app)
    broker = app.extensions["celery"].conf.broker_url
    if broker.startswith(("redis", "rediss")):
        queue = connect(settings_of(app), broker)
        register_gauge(app, "celery_queue_length", "Tasks that wait for a worker", _lengths(app, queue), label="queue")
        register_gauge(
            app,
            "celery_unacknowledged_tasks",
            "Tasks that workers hold: running, about to, or until their time has come",
            lambda: queue.hlen(UNACKED),
        )
    if redis := redis_of(app):
        register_gauge(
            app, "celery_worker_heartbeat_age_seconds", "Seconds since a worker ran the heartbeat", _age(redis)
        )


def _lengths(app: Flask, redis: Redis) -> Callable[[], dict[str, float]]:
    """How to ask for the lengths of all queues in one round trip."""
    celery: Celery = app.extensions["celery"]

    def ask() -> dict[str, float]:
        names = list(celery.amqp.queues)
        with redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(name)
            return dict(zip(names, pipeline.execute(), strict=True))

    return ask


def _age(redis: Redis) -> Callable[[], float | None]:
    """How to ask for the age of the heartbeat; there is none where none was run for long."""

    def ask() -> float | None:
        seen: Any = redis.get(HEARTBEAT_KEY)
        return time.time() - float(seen) if seen else None

    return ask


@signals.before_task_publish.connect
def _note_publishing(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Send the time along; also with another try, whose own time it is that counts."""
    if headers is not None:
        headers["published_at"] = time.time()


@signals.task_prerun.connect
def _begin(task: Task[..., Any], **_: Any) -> None:
    request = task.request
    request.started_at = time.perf_counter()
    published: float | None = getattr(request, "published_at", None)
    # What a killed process gave back has waited once already, and run.
    if published is None or request.is_eager or (request.delivery_info or {}).get("redelivered"):
        return
    due = max(published, datetime.fromisoformat(request.eta).timestamp() if request.eta else 0)
    WAIT.labels(task.name).observe(max(0, time.time() - due))


@signals.task_postrun.connect
def _end(task: Task[..., Any], state: str | None = None, **_: Any) -> None:
    if state not in ENDINGS:  # the process is being ended
        return
    TASKS.labels(task.name, ENDINGS[state]).inc()
    DURATION.labels(task.name).observe(time.perf_counter() - task.request.started_at)
    if state == "RETRY":
        RETRIES.labels(task.name).inc()


@signals.task_revoked.connect
def _drop(sender: Task[..., Any], expired: bool = False, **_: Any) -> None:
    TASKS.labels(sender.name, "expired" if expired else "revoked").inc()


class WatchedRequest(Request):
    """A task as the worker's main process sees it, which counts what the task's own process cannot."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Count a process that was lost, whose task will be run again, and a time limit, which ends the process."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError):
            TASKS.labels(self.task.name, "lost").inc()
        elif isinstance(error, TimeLimitExceeded):
            TASKS.labels(self.task.name, "failure").inc()
            DURATION.labels(self.task.name).observe(time.time() - (self.time_start or time.time()))
        return super().on_failure(exc_info, send_failed_event, return_ok)


@signals.worker_init.connect
def _watch(sender: Any, **_: Any) -> None:
    """Watch every task, whatever its base."""
    for task in sender.app.tasks.values():
        task.Request = WatchedRequest


@signals.worker_process_init.connect
def _take_slot(**_: Any) -> None:
    """Count in the files of this process's place in the pool; a pool of threads has none, and counts in one."""
    slot: int | None = getattr(current_process(), "index", None)
    if slot is not None:
        slots.take(slot)


@signals.worker_shutdown.connect
def _leave_nothing_behind(**_: Any) -> None:
    slots.discard()
