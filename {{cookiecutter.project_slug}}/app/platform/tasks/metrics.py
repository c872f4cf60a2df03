"""Metrics of tasks: runs by result, queue wait, duration, and the length of the queue.

The process that runs a task counts it, in the files of its slot (`multiprocess_metrics`). The worker's main process
counts tasks whose process was killed or hit the time limit, and serves the metrics on `WORKER_METRICS_PORT`. The web
processes read the length of the queue (`gauges`), because they run even when no worker does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from billiard import current_process
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, Task, signals, states
from celery.worker.request import Request
from flask import Flask
from prometheus_client import Counter, Histogram
from redis import Redis

from app.platform.redis.client import create_client, redis_of
from app.platform.settings.declarations import settings_of
from app.platform.tasks import metrics_server
from app.platform.tasks.celery import heartbeat_age
from app.platform.telemetry import multiprocess_metrics
from app.platform.telemetry.gauges import register_gauge

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)  # seconds
FINISHED_STATES = {states.SUCCESS, states.FAILURE, states.RETRY, states.IGNORED, states.REJECTED}

TASKS = Counter("celery_tasks_total", "Task runs by result", ["task", "state"])
RETRIES = Counter("celery_task_retries_total", "Task runs that ended in a retry", ["task"])
DURATION = Histogram("celery_task_duration_seconds", "Duration of task runs in seconds", ["task"], buckets=BUCKETS)
WAIT = Histogram(
    "celery_task_wait_seconds", "Seconds between the time a task was due and its start", ["task"], buckets=BUCKETS
)


def init_app(app: Flask) -> None:
    """Serve the metrics of workers; with a broker, add the gauges of the queue and of the heartbeat."""
    metrics_server.init_app(app)
    settings = settings_of(app)
    if settings.broker_url:
        queue = create_client(settings, settings.broker_url)
        # A hash of the delivered, unacknowledged messages of all queues.
        unacknowledged = app.extensions["celery"].conf.broker_transport_options["unacked_key"]
        register_gauge(app, "celery_queue_length", "Tasks in the queue", _queue_lengths(app, queue), label="queue")
        register_gauge(
            app,
            "celery_unacknowledged_tasks",
            "Tasks delivered to workers and not acknowledged: running, prefetched or scheduled for later",
            lambda: queue.hlen(unacknowledged),
        )
    if redis_of(app):
        register_gauge(
            app,
            "celery_worker_heartbeat_age_seconds",
            "Seconds since a worker ran the heartbeat",
            partial(heartbeat_age, app),
        )


def _queue_lengths(app: Flask, redis: Redis) -> Callable[[], dict[str, float]]:
    """Return a function that reads the lengths of all queues in one round trip."""
    celery: Celery = app.extensions["celery"]

    def read() -> dict[str, float]:
        names = list(celery.amqp.queues)
        with redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(name)
            return dict(zip(names, pipeline.execute(), strict=True))

    return read


@signals.before_task_publish.connect
def _add_publish_time(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Add the time of publishing to the message; a retry gets its own time."""
    if headers is not None:
        headers["published_at"] = time.time()


@signals.task_prerun.connect
def _start_task(task: Task[..., Any], **_: Any) -> None:
    request = task.request
    request.started_at = time.perf_counter()
    published: float | None = getattr(request, "published_at", None)
    # A redelivered task was counted when it first started.
    if published is None or request.is_eager or (request.delivery_info or {}).get("redelivered"):
        return
    due = max(published, datetime.fromisoformat(request.eta).timestamp() if request.eta else 0)
    WAIT.labels(task.name).observe(max(0, time.time() - due))


@signals.task_postrun.connect
def _finish_task(task: Task[..., Any], state: str = "", **_: Any) -> None:
    if state not in FINISHED_STATES:  # the process is being terminated
        return
    TASKS.labels(task.name, state.lower()).inc()
    DURATION.labels(task.name).observe(time.perf_counter() - task.request.started_at)
    if state == states.RETRY:
        RETRIES.labels(task.name).inc()


@signals.task_revoked.connect
def _count_revoked(sender: Task[..., Any], expired: bool = False, **_: Any) -> None:
    TASKS.labels(sender.name, "expired" if expired else "revoked").inc()


class MeteredRequest(Request):
    """A task in the worker's main process, which counts what the task's own process cannot."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Count a lost process, whose task is redelivered, and a time limit, which kills the process."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError):
            TASKS.labels(self.task.name, "lost").inc()
        elif isinstance(error, TimeLimitExceeded):
            TASKS.labels(self.task.name, "failure").inc()
            DURATION.labels(self.task.name).observe(time.time() - (self.time_start or time.time()))
        return super().on_failure(exc_info, send_failed_event, return_ok)


@signals.worker_init.connect
def _meter_requests(sender: Any, **_: Any) -> None:
    """Set the request class of every task, including tasks with another base."""
    for task in sender.app.tasks.values():
        task.Request = MeteredRequest


@signals.worker_process_init.connect
def _acquire_slot(**_: Any) -> None:
    """Acquire the metrics slot of this process's index in the pool; a thread pool has no index and one process."""
    slot: int | None = getattr(current_process(), "index", None)
    if slot is not None:
        multiprocess_metrics.acquire(slot)


@signals.worker_shutdown.connect
def _cleanup(**_: Any) -> None:
    multiprocess_metrics.cleanup()
