"""The service with tasks and routes planted in it, for tests of what watches it: `tests.running.planted`.

The tasks end in every way that a task can end.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Task
from celery.exceptions import SoftTimeLimitExceeded

from app.database import db
from app.limits import unlimited
from app.security.access import public
from wsgi import app, celery


@app.get("/planted/hold")
@unlimited("planted")
@public("planted")
def hold() -> str:
    """Keeps a connection to the database for two seconds."""
    db.session.execute(sa.text("SELECT pg_sleep(2)"))
    return "held"


def burn(seconds: float) -> None:
    """Keeps the processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hot_loop()


def hot_loop() -> None:
    for _ in range(100_000):
        pass


@app.get("/planted/burn")
@unlimited("planted")
@public("planted")
def burn_in_a_request() -> str:
    burn(0.2)
    return "burnt"


@celery.task(name="planted.burn")
def burn_in_a_task() -> None:
    burn(0.2)


@celery.task(name="planted.work")
def work(seconds: float = 0.0) -> None:
    time.sleep(seconds)


@celery.task(name="planted.fail")
def fail() -> None:
    raise ValueError("on purpose")


@celery.task(name="planted.try_twice", bind=True)
def try_twice(self: Task[..., Any]) -> None:
    if self.request.retries == 0:
        raise self.retry(countdown=1)


@celery.task(name="planted.die_once")
def die_once(mark: str) -> None:
    """Is killed, as by a machine that is out of memory, unless that has left a mark before."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)


@celery.task(name="planted.overrun", soft_time_limit=1, time_limit=2)
def overrun() -> None:
    """Will not be told that it is time."""
    with suppress(SoftTimeLimitExceeded):
        time.sleep(60)
    time.sleep(60)


__all__ = ["app", "celery"]
