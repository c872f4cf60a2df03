"""Celery, hung on the app.

Every task runs in an app context, with its own database session and the request id of whoever sent it.
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

from app.health import register_fact
from app.observability.logging import bound, rebind
from app.redis_client import redis_of
from app.settings import Settings, settings_of

logger = logging.getLogger(__name__)

HEARTBEAT = "heartbeat"  # by name, since to ask a task for it binds all tasks, before there are settings
HEARTBEAT_SECONDS = 15
HEARTBEAT_KEY = "worker:heartbeat"
# Files that container health checks look at the age of.
WORKER_SIGN = Path(gettempdir()) / "worker.alive"
BEAT_SIGN = Path(gettempdir()) / "beat.alive"

UNSENT = Counter("task_publish_failures_total", "Tasks that could not be sent to the queue", ["task"])


@lru_cache(maxsize=1)
def get_flask_app() -> Flask:
    """The one app of this process, for Gunicorn, Celery and scripts."""
    from app import create_app  # noqa: PLC0415 - the factory imports this module

    return create_app()


class ContextTask(Task[..., Any]):
    """Base of every task: carries the request id along, and runs in an app context also when it is called directly."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here."""
        if has_app_context():
            return self.run(*args, **kwargs)
        with flask_app_of(self).app_context():
            return self.run(*args, **kwargs)

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send the task, with the id of the request that sends it."""
        options["headers"] = {"request_id": bound("request_id"), **(options.get("headers") or {})}
        # Celery looks for this here only, and else subscribes to the result: a wait of 20 s while Redis is away.
        options.setdefault("ignore_result", self.ignore_result)
        return super().apply_async(*args, **options)

    def send_if_possible(self, *args: Any, **kwargs: Any) -> bool:
        """Send the task; when the queue is away, log and count that, since the caller can do without it."""
        try:
            self.delay(*args, **kwargs)
        except (OperationalError, RedisError) as error:
            UNSENT.labels(self.name).inc()
            logger.warning("task %s was not sent: %s", self.name, error)
            return False
        return True


def flask_app_of(task: Task[..., Any]) -> Flask:
    """The app that a task's Celery belongs to."""
    app: Flask | None = getattr(task.app, "flask_app", None)
    return app or get_flask_app()


def init_app(app: Flask) -> None:
    """Make the app's Celery; without a broker, tasks run at once where they are called."""
    celery = Celery(app.import_name, task_cls=ContextTask, set_as_current=True)
    celery.flask_app = app
    celery.config_from_object(configuration(settings_of(app)))
    celery.set_default()
    app.extensions["celery"] = celery
    register_schedule(app, HEARTBEAT, HEARTBEAT_SECONDS)
    register_fact(app, "worker", _worker_fact)


def register_schedule(app: Flask, task: str, seconds: float) -> None:
    """Have beat send a task, given by name, again and again; one that waits longer than that is not run any more."""
    schedule = {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}
    app.extensions["celery"].conf.beat_schedule[task] = schedule


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings: no work lost when a worker dies, and no waiting for a broker that is away."""
    broker = settings.CELERY_BROKER_URL or settings.REDIS_URL
    limit = settings.TASK_TIME_LIMIT_SECONDS
    return {
        "broker_url": broker or "memory://",
        "result_backend": settings.CELERY_RESULT_BACKEND or settings.REDIS_URL or "cache+memory://",
        "task_always_eager": broker is None,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": _transport(settings),
        "result_backend_transport_options": {"global_keyprefix": f"{settings.SERVICE_NAME}:"},
        "task_default_queue": f"{settings.SERVICE_NAME}.default",
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
        "timezone": "UTC",
        "beat_schedule": {},
    }


def _transport(settings: Settings) -> dict[str, Any]:
    """How the queue is spoken to by those who send; workers, who have time, wait longer (`_patient`).

    A task that outlives the visibility timeout would be handed out twice.
    """
    return {
        "visibility_timeout": 2 * settings.TASK_TIME_LIMIT_SECONDS + 60,
        "socket_timeout": 2 * settings.REDIS_TIMEOUT_SECONDS,
        "socket_connect_timeout": 2 * settings.REDIS_TIMEOUT_SECONDS,
        "retry_on_timeout": False,
        "max_retries": 0,
    }


@signals.celeryd_init.connect
def _patient(conf: Any = None, **_: Any) -> None:
    patience = {
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
    kept = {"visibility_timeout": conf.broker_transport_options["visibility_timeout"]}
    conf.broker_transport_options = kept | patience


@signals.setup_logging.connect
def _keep_logging(**_: Any) -> None:
    """Keep the app's logging; being connected is what stops Celery from setting up its own."""


_contexts: dict[str, AbstractContextManager[Any]] = {}


@signals.task_prerun.connect
def _enter(task_id: str = "", task: Any = None, **_: Any) -> None:
    """Open the task's context here, and not only in `ContextTask`, so that tasks with another base have one too."""
    headers: Mapping[str, Any] = getattr(task.request, "headers", None) or {}
    context = flask_app_of(task).app_context()
    context.__enter__()
    _contexts[task_id] = context
    if not task.request.is_eager:  # or else the lines of a request go on under the request's own fields
        rebind(request_id=getattr(task.request, "request_id", None) or headers.get("request_id"))
    logging.getLogger("app.tasks").info("task begins", extra={"task": task.name, "task_id": task_id})


@signals.task_postrun.connect
def _leave(task_id: str = "", task: Any = None, state: str = "", **_: Any) -> None:
    logging.getLogger("app.tasks").info("task ends", extra={"task": task.name, "task_id": task_id, "state": state})
    if context := _contexts.pop(task_id, None):
        context.__exit__(None, None, None)


@signals.heartbeat_sent.connect
def _sign_of_worker(**_: Any) -> None:
    WORKER_SIGN.touch()


@signals.after_task_publish.connect
def _sign_of_beat(sender: str = "", **_: Any) -> None:
    if sender == HEARTBEAT:
        BEAT_SIGN.touch()


@shared_task(name=HEARTBEAT)
def heartbeat() -> None:
    """Sent by beat and run by a worker, and so a sign that both are alive and the queue moves."""
    if redis := redis_of(current_app):
        redis.set(HEARTBEAT_KEY, time.time(), ex=20 * HEARTBEAT_SECONDS)


def _worker_fact() -> dict[str, Any] | None:
    """Seconds since a worker last ran the heartbeat; None where tasks run in the process itself."""
    redis = redis_of(current_app)
    if redis is None:
        return None
    seen: Any = redis.get(HEARTBEAT_KEY)
    return {"heartbeat_age_s": round(time.time() - float(seen), 1) if seen else None}
