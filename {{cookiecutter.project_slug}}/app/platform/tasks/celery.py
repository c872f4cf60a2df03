"""Celery, as an extension of the app.

Every task runs in an app context, with its own database session and the request id of its sender.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from celery import Celery, Task, shared_task, signals
from flask import Flask, current_app, has_app_context
from kombu.exceptions import OperationalError
from prometheus_client import Counter
from redis import RedisError

from app.platform.redis.client import redis_of
from app.platform.settings.declarations import Settings, settings_of
from app.platform.settings.redis_url import parse_redis_url
from app.platform.telemetry.dependency_checks import register_health_fact
from app.platform.telemetry.logging import context_value, reset_context

logger = logging.getLogger(__name__)

# A constant: reading the name from the task would bind all tasks before Celery is configured.
HEARTBEAT = "heartbeat"
HEARTBEAT_SECONDS = 15
# Container health checks compare the age of these files.
WORKER_HEARTBEAT_FILE = Path(gettempdir()) / "worker.alive"
BEAT_HEARTBEAT_FILE = Path(gettempdir()) / "beat.alive"

# The transport options that decide which messages are delivered again, and when.
DELIVERY_OPTIONS = ("unacked_key", "unacked_index_key", "unacked_mutex_key", "visibility_timeout")

PUBLISH_FAILURES = Counter("task_publish_failures_total", "Tasks that could not be published", ["task"])


@lru_cache(maxsize=1)
def get_flask_app() -> Flask:
    """Return the one app of this process, for Gunicorn, Celery and scripts."""
    from app import create_app  # noqa: PLC0415 - the factory imports this module

    return create_app()


class ContextTask(Task[..., Any]):
    """The base of every task: passes the request id on, and runs in an app context even when called directly."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task in this process."""
        if has_app_context():
            return self.run(*args, **kwargs)
        with flask_app_of(self).app_context():
            return self.run(*args, **kwargs)

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Publish the task with the id of the current request."""
        options["headers"] = {"request_id": context_value("request_id"), **(options.get("headers") or {})}
        # Without this option Celery subscribes to the result, which takes 20 s while Redis is unavailable.
        options.setdefault("ignore_result", self.ignore_result)
        return super().apply_async(*args, **options)

    def try_delay(self, *args: Any, **kwargs: Any) -> bool:
        """Like `try_apply_async`, with the arguments of the task."""
        return self.try_apply_async(args, kwargs)

    def try_apply_async(self, *args: Any, **options: Any) -> bool:
        """Publish the task; return False if the broker is unavailable, which is logged and counted."""
        try:
            self.apply_async(*args, **options)
        except (OperationalError, RedisError) as error:
            PUBLISH_FAILURES.labels(self.name).inc()
            logger.warning("task %s was not published: %s", self.name, error)
            return False
        return True


def flask_app_of(task: Task[..., Any]) -> Flask:
    """Return the app that a task's Celery belongs to."""
    app: Flask | None = getattr(task.app, "flask_app", None)
    return app or get_flask_app()


def init_app(app: Flask) -> None:
    """Create the app's Celery; without a broker, tasks run immediately in the calling process."""
    celery = Celery(app.import_name, task_cls=ContextTask, set_as_current=True)
    celery.flask_app = app
    celery.config_from_object(celery_config(settings_of(app)))
    celery.set_default()
    app.extensions["celery"] = celery
    register_schedule(app, HEARTBEAT, HEARTBEAT_SECONDS)
    register_health_fact(app, "worker", _worker_health)


def register_schedule(app: Flask, task: str, seconds: float) -> None:
    """Make beat publish the task with this name at this interval; it expires if no worker runs it in that time."""
    schedule = {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}
    app.extensions["celery"].conf.beat_schedule[task] = schedule


def celery_config(settings: Settings) -> dict[str, Any]:
    """Return Celery's settings: a dead worker loses no task, and an unavailable broker fails at once."""
    limit = settings.TASK_TIME_LIMIT_SECONDS
    return {
        **_server_config(settings),
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": _transport_options(settings),
        "result_backend_transport_options": {"global_keyprefix": f"{settings.SERVICE_NAME}:"},
        # Services that share a Redis must not get each other's tasks, commands and events.
        "task_default_queue": f"{settings.SERVICE_NAME}.default",
        "control_exchange": settings.SERVICE_NAME,
        "event_exchange": f"{settings.SERVICE_NAME}.events",
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_publish_retry": False,
        "task_time_limit": limit,
        "task_soft_time_limit": limit - 5,
        "worker_concurrency": settings.CELERY_CONCURRENCY,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "accept_content": ["json"],
        "worker_consumer": "app.platform.tasks.consumer:Consumer",
        "timezone": "UTC",
        "beat_schedule": {},
    }


def _server_config(settings: Settings) -> dict[str, Any]:
    """Return the broker and the result backend; without Redis, tasks run immediately."""
    broker, results = settings.broker_url, settings.CELERY_RESULT_BACKEND or settings.REDIS_URL
    config = {"task_always_eager": broker is None, "broker_url": "memory://", "result_backend": "cache+memory://"}
    if broker:
        redis = parse_redis_url(broker)
        config |= {"broker_url": redis.celery_url, "broker_use_ssl": redis.tls_options}
    if results:
        redis = parse_redis_url(results)
        config |= {"result_backend": redis.celery_url, "redis_backend_use_ssl": redis.tls_options}
    return config


def _transport_options(settings: Settings) -> dict[str, Any]:
    """Return the keys, and the timeouts of publishers; workers can wait longer (`_set_worker_timeouts`).

    The visibility timeout is longer than any task: a task that runs longer would be delivered twice.
    """
    return {
        **_unacknowledged_keys(settings.SERVICE_NAME),
        "visibility_timeout": 2 * settings.TASK_TIME_LIMIT_SECONDS + 60,
        "socket_timeout": 2 * settings.REDIS_TIMEOUT_SECONDS,
        "socket_connect_timeout": 2 * settings.REDIS_TIMEOUT_SECONDS,
        "retry_on_timeout": False,
        "max_retries": 0,
    }


def _unacknowledged_keys(service: str) -> dict[str, str]:
    """Return the keys of the messages that workers have and did not acknowledge.

    By default all services that share a Redis have the same keys, and each delivers the messages of all again after
    its own visibility timeout, which the longer tasks of another service exceed.
    """
    key = f"{service}:unacknowledged"
    return {"unacked_key": key, "unacked_index_key": f"{key}_index", "unacked_mutex_key": f"{key}_mutex"}


@signals.celeryd_init.connect
def _set_worker_timeouts(conf: Any = None, **_: Any) -> None:
    conf.broker_transport_options = {
        **{name: conf.broker_transport_options[name] for name in DELIVERY_OPTIONS},
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }


@signals.setup_logging.connect
def _keep_logging(**_: Any) -> None:
    """Keep the app's logging: with a receiver on this signal, Celery does not configure its own."""


_contexts: dict[str, AbstractContextManager[Any]] = {}


@signals.task_prerun.connect
def _push_context(task_id: str = "", task: Any = None, **_: Any) -> None:
    """Push the app context of a task; in a signal, so that tasks with another base have one too."""
    headers: Mapping[str, Any] = getattr(task.request, "headers", None) or {}
    context = flask_app_of(task).app_context()
    context.__enter__()
    _contexts[task_id] = context
    if not task.request.is_eager:  # an eager task keeps the log fields of its request
        reset_context(request_id=getattr(task.request, "request_id", None) or headers.get("request_id"))
    logging.getLogger("app.tasks").info("task begins", extra={"task": task.name, "task_id": task_id})


@signals.task_postrun.connect
def _pop_context(task_id: str = "", task: Any = None, state: str = "", **_: Any) -> None:
    logging.getLogger("app.tasks").info("task ends", extra={"task": task.name, "task_id": task_id, "state": state})
    if context := _contexts.pop(task_id, None):
        context.__exit__(None, None, None)


@signals.heartbeat_sent.connect
def _touch_worker_file(**_: Any) -> None:
    WORKER_HEARTBEAT_FILE.touch()


@signals.after_task_publish.connect
def _touch_beat_file(sender: str = "", **_: Any) -> None:
    if sender == HEARTBEAT:
        BEAT_HEARTBEAT_FILE.touch()


@shared_task(name=HEARTBEAT)
def heartbeat() -> None:
    """Record that beat publishes tasks and that a worker runs them."""
    if redis := redis_of(current_app):
        redis.set(_heartbeat_key(current_app), time.time(), ex=20 * HEARTBEAT_SECONDS)


def _heartbeat_key(app: Flask) -> str:
    return f"{settings_of(app).SERVICE_NAME}:worker:heartbeat"


def heartbeat_age(app: Flask) -> float | None:
    """Return the seconds since a worker ran the heartbeat; None without Redis, or if the record has expired."""
    redis = redis_of(app)
    last_seen: Any = redis.get(_heartbeat_key(app)) if redis else None
    return time.time() - float(last_seen) if last_seen else None


def _worker_health() -> dict[str, Any] | None:
    """Return the age of the heartbeat for `/health/detailed`; None if tasks run in the calling process."""
    if redis_of(current_app) is None:
        return None
    age = heartbeat_age(current_app)
    return {"heartbeat_age_s": None if age is None else round(age, 1)}
