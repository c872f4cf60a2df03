"""The service plus routes and tasks that only tests need: `tests.running.fault_app`.

They hold connections, keep the processor busy, fail, and end in every way that a task can end.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from flask import request

from app.platform.api.rate_limits import no_rate_limit, rate_limit
from app.platform.database.base import db
from app.platform.security.access import login_required, public
from app.platform.tasks.celery import get_flask_app

app = get_flask_app()
celery = app.extensions["celery"]


@app.get("/faults/hold")
@no_rate_limit("a test")
@public("a test")
def hold() -> str:
    """Hold a database connection until the advisory lock 1 is free."""
    db.session.execute(sa.text("SELECT pg_advisory_xact_lock_shared(1)"))
    return "held"


@app.get("/faults/sleep")
@no_rate_limit("a test")
@public("a test")
def sleep() -> str:
    """Run a statement for an hour."""
    db.session.execute(sa.text("SELECT pg_sleep(3600)"))
    return "slept"


@app.post("/faults/error")
@rate_limit("RATELIMIT_DEFAULT")
@public("a test")
def error() -> dict[str, Any]:
    """Raise an unexpected error with the text of the body."""
    raise RuntimeError(request.get_json()["text"])


@app.post("/faults/error-of-user")
@no_rate_limit("a test")
@login_required
def error_of_user() -> dict[str, Any]:
    """Raise an unexpected error in a request with a user."""
    raise RuntimeError


@app.post("/faults/task")
@no_rate_limit("a test")
@public("a test")
def send_task() -> dict[str, Any]:
    """Send the task `fault.query` with the text of the body."""
    query.delay(**request.get_json())
    return {}


@shared_task(name="fault.query")
def query(text: str = "") -> None:
    """Query the database; fail with the text if there is one."""
    db.session.execute(sa.text("SELECT 1"))
    if text:
        raise RuntimeError(text)


def burn(seconds: float) -> None:
    """Keep the processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hot_loop()


def hot_loop() -> None:
    """Run for about a millisecond; profiles must show it as the hottest function."""
    for _ in range(100_000):
        pass


@app.get("/faults/burn")
@no_rate_limit("a test")
@public("a test")
def burn_in_a_request() -> str:
    burn(0.2)
    return "done"


@celery.task(name="fault.burn")
def burn_in_a_task() -> None:
    burn(0.2)


@celery.task(name="fault.work")
def work(seconds: float = 0.0) -> None:
    time.sleep(seconds)


@celery.task(name="fault.wait_for")
def wait_for(file: str) -> None:
    """Run until the file exists."""
    while not Path(file).exists():
        time.sleep(0.01)


@celery.task(name="fault.fail")
def fail() -> None:
    raise ValueError("on purpose")


@celery.task(name="fault.try_twice", bind=True)
def try_twice(self: Task[..., Any], countdown: float = 1) -> None:
    """Retry once, after so many seconds."""
    if self.request.retries == 0:
        raise self.retry(countdown=countdown)


@celery.task(name="fault.die_once")
def die_once(marker: str) -> None:
    """Kill the own process, like a machine without memory, unless the marker file exists."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


@celery.task(name="fault.overrun", soft_time_limit=1, time_limit=2)
def overrun() -> None:
    """Ignore the soft time limit."""
    with suppress(SoftTimeLimitExceeded):
        time.sleep(600)
    time.sleep(600)


__all__ = ["app", "celery"]
