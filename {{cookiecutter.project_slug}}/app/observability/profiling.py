"""Profiles of the running service: one of a web process and one of a task process, every week or by `flask profile`.

Whoever wants them leaves an order in Redis for each of the two roles. A process that works looks for one every
`LOOK_SECONDS` at most, and between that compares two numbers; the first to see it takes it, and looks at itself for a
while beside its work. The report goes to the storage, as text and as a page, and its gist to the log.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click
from celery import Task, shared_task, signals
from flask import Flask, current_app
from flask.cli import with_appcontext
from redis import RedisError

from app.database import now
from app.redis_client import redis_of, rest_of
from app.settings import settings_of
from app.storage import Storage, storage_of
from app.worker import flask_app_of, register_schedule

if TYPE_CHECKING:
    from app.observability.sampling import Allocation, ProcessorProfile

logger = logging.getLogger(__name__)

ROLES = ("web", "worker")
FOLDER = "profiles/"
KEPT = 12  # reports of each role
WEEK_SECONDS = 604_800.0
LOOK_SECONDS = 10.0
ORDER_SECONDS = 3600  # after which an order that nobody took is dropped


@dataclass(frozen=True)
class Order:
    """Wants a profile of so many seconds."""

    id: str
    seconds: int


class OrderBook:
    """Where orders for one role are left and looked for."""

    def __init__(self, app: Flask, role: str) -> None:
        self._app, self._role = app, role
        self._key = f"{settings_of(app).SERVICE_NAME}:profile:{role}"
        self._next_look = 0.0

    def leave(self, order: Order) -> None:
        """Leave an order, in place of an older one; raises `RedisError`."""
        if redis := redis_of(self._app):
            redis.set(self._key, json.dumps(asdict(order)), ex=ORDER_SECONDS)

    def look(self) -> None:
        """Take an order if it is time to look and there is one."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        if order := self._take():
            self._next_look += 2 * order.seconds  # one at a time
            threading.Thread(target=carry_out, args=(self._app, self._role, order), daemon=True).start()

    def _take(self) -> Order | None:
        redis, rest = redis_of(self._app), rest_of(self._app)
        if redis is None or not rest.is_over():
            return None
        try:
            text: Any = redis.getdel(self._key)
        except RedisError:
            rest.begin()
            return None
        return Order(**json.loads(text)) if text else None


def init_app(app: Flask) -> None:
    """Have the service profiled; without Redis there is nobody to ask."""
    app.cli.add_command(profile)
    register_schedule(app, "profiling.order", WEEK_SECONDS)
    if redis_of(app):
        books = {role: OrderBook(app, role) for role in ROLES}
        app.extensions["profile_orders"] = books
        app.before_request(books["web"].look)


@signals.task_prerun.connect
def _look(task: Task[..., Any], **_: Any) -> None:
    books: dict[str, OrderBook] = flask_app_of(task).extensions.get("profile_orders", {})
    if books and not task.request.is_eager:
        books["worker"].look()


@shared_task(name="profiling.order")
def order_weekly() -> None:
    """Order a profile of each role."""
    leave_orders(current_app, settings_of(current_app).PROFILING_DURATION_SECONDS)


def leave_orders(app: Flask, seconds: int) -> Order:
    """Order a profile of each role, of so many seconds."""
    order = Order(f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", seconds)
    books: dict[str, OrderBook] = app.extensions.get("profile_orders", {})
    for book in books.values():
        book.leave(order)
    return order


def carry_out(app: Flask, role: str, order: Order) -> None:
    """Profile this process, first its processor time and then its memory, which makes it slower; keep the report."""
    from app.observability.sampling import profile_memory, profile_processor  # noqa: PLC0415 - 30 ms, once a week

    try:
        processor = profile_processor(order.seconds)
        memory = profile_memory(order.seconds)
        told = {"role": role, "profile": order.id, "seconds": order.seconds}
        gist = {"functions": [str(line) for line in processor.top()], "memory": [str(line) for line in memory]}
        logger.info("profile", extra={**told, **gist})
        storage = storage_of(app)
        storage.put(report_key(order, role, "html"), processor.as_html().encode())
        storage.put(report_key(order, role, "txt"), report(role, order, processor, memory).encode())
        prune(storage)
    except Exception:
        logger.exception("a profile failed", extra={"role": role})


def report(role: str, order: Order, processor: ProcessorProfile, memory: list[Allocation]) -> str:
    """A profile to read."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # in KiB, on Linux
    return "\n".join(
        [
            f"Profile {order.id} of a {role} process ({os.getpid()} on {socket.gethostname()})",
            "",
            f"Processor: {processor.used:.2f} s used by all threads in {order.seconds} s. Most of their own used:",
            *map(str, processor.top()),
            "",
            f"Memory: {largest:.0f} MiB at most so far. Made in another {order.seconds} s and still there, the most:",
            *map(str, memory),
            processor.as_text(),
        ]
    )


def report_key(order: Order, role: str, kind: str) -> str:
    """Where a report is kept."""
    return f"{FOLDER}{order.id}-{role}.{kind}"


def prune(storage: Storage) -> None:
    """Drop all but the newest reports."""
    keys = sorted(storage.keys(FOLDER))
    for ending in (f"-{role}.{kind}" for role in ROLES for kind in ("html", "txt")):
        for key in [key for key in keys if key.endswith(ending)][:-KEPT]:
            storage.delete(key)


@click.command("profile")
@click.option("--seconds", type=click.IntRange(1, 600), help="PROFILING_DURATION_SECONDS if not given.")
@with_appcontext
def profile(seconds: int | None) -> None:
    """Profile a web process and a task process of the running service, and show the reports."""
    if not redis_of(current_app):
        raise click.ClickException("The processes are asked through Redis: set REDIS_URL.")
    order = leave_orders(current_app, seconds or settings_of(current_app).PROFILING_DURATION_SECONDS)
    click.echo(f"ordered profile {order.id}; a process takes it with the next request or task", err=True)
    if missing := _show(storage_of(current_app), order):
        raise click.ClickException(f"No report yet of: {', '.join(missing)}. It may come to {FOLDER} in the storage.")


def _show(storage: Storage, order: Order) -> list[str]:
    """Show reports as they come; returns the roles of which none did."""
    deadline = time.monotonic() + 2 * order.seconds + 3 * LOOK_SECONDS
    missing = list(ROLES)
    while missing and time.monotonic() < deadline:
        time.sleep(0.5)
        for role in [role for role in missing if storage.exists(report_key(order, role, "txt"))]:
            click.echo(storage.open(report_key(order, role, "txt")).read().decode())
            missing.remove(role)
    return missing
