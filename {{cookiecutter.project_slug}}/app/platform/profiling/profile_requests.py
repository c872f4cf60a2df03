"""Profiles of the running service: one web and one task process, every week and with `flask profile`.

A profile request for each of the two roles is stored in Redis. At each request or task, a process polls Redis if its
last poll was at least `POLL_SECONDS` ago. The first process that finds a profile request removes it, and profiles
itself in a thread. The report goes to the storage, as text and as HTML, and its summary to the log.
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

from app.platform.components import platform_of
from app.platform.database.base import utc_now
from app.platform.redis.client import redis_breaker_of, redis_of
from app.platform.settings.declarations import settings_of
from app.platform.storage import Storage, storage_of
from app.platform.tasks.celery import flask_app_of, register_schedule

if TYPE_CHECKING:
    from app.platform.profiling.stack_sampler import Allocation, CpuProfile

logger = logging.getLogger(__name__)

ROLES = ("web", "worker")
FOLDER = "profiles/"
REPORTS_TO_KEEP = 12  # reports of each role
WEEK_SECONDS = 604_800.0
POLL_SECONDS = 10.0
REQUEST_TTL_SECONDS = 3600  # a request that no process takes expires


@dataclass(frozen=True)
class ProfileRequest:
    """A request for a profile that takes `seconds` for the CPU time and again for the memory."""

    id: str
    seconds: int


class ProfileRequests:
    """The profile requests for one role: at most one is stored at a time."""

    def __init__(self, app: Flask, role: str) -> None:
        self._app, self._role = app, role
        self._key = f"{settings_of(app).SERVICE_NAME}:profile:{role}"
        self._next_poll = 0.0  # monotonic seconds

    def submit(self, profile_request: ProfileRequest) -> None:
        """Store a request and replace an earlier one; raises `RedisError`."""
        if redis := redis_of(self._app):
            redis.set(self._key, json.dumps(asdict(profile_request)), ex=REQUEST_TTL_SECONDS)

    def poll(self) -> None:
        """If a poll is due, remove a request from Redis and start to profile in a thread."""
        if time.monotonic() < self._next_poll:
            return
        self._next_poll = time.monotonic() + POLL_SECONDS
        if profile_request := self._take():
            self._next_poll += 2 * profile_request.seconds  # one profile at a time
            threading.Thread(target=run_profile, args=(self._app, self._role, profile_request), daemon=True).start()

    def _take(self) -> ProfileRequest | None:
        redis, breaker = redis_of(self._app), redis_breaker_of(self._app)
        if redis is None or not breaker.allows_request():
            return None
        try:
            text: Any = redis.getdel(self._key)
        except RedisError:
            breaker.record_failure()
            return None
        return ProfileRequest(**json.loads(text)) if text else None


class ProfileQueues(dict[str, ProfileRequests]):
    """The profile requests of one app, by role."""


def init_app(app: Flask) -> None:
    """Schedule the weekly profiles, add the command, and poll for requests if Redis is configured."""
    app.cli.add_command(profile)
    register_schedule(app, "profiling.request", WEEK_SECONDS)
    if redis_of(app):
        queues = {role: ProfileRequests(app, role) for role in ROLES}
        platform_of(app).add(ProfileQueues(queues))
        app.before_request(queues["web"].poll)


@signals.task_prerun.connect
def _poll(task: Task[..., Any], **_: Any) -> None:
    queues = platform_of(flask_app_of(task)).find(ProfileQueues)
    if queues and not task.request.is_eager:
        queues["worker"].poll()


@shared_task(name="profiling.request")
def request_weekly_profiles() -> None:
    """Request a profile of each role."""
    request_profiles(current_app, settings_of(current_app).PROFILING_DURATION_SECONDS)


def request_profiles(app: Flask, seconds: int) -> ProfileRequest:
    """Request a profile of each role with this duration in seconds; raises `RedisError`."""
    profile_request = ProfileRequest(f"{utc_now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", seconds)
    for queue in platform_of(app).get_or_create(ProfileQueues).values():
        queue.submit(profile_request)
    return profile_request


def run_profile(app: Flask, role: str, profile_request: ProfileRequest) -> None:
    """Profile the CPU time of this process, then its memory, which slows it down; store the report."""
    from app.platform.profiling.stack_sampler import profile_cpu, profile_memory  # noqa: PLC0415 - 30 ms, once a week

    try:
        cpu = profile_cpu(profile_request.seconds)
        memory = profile_memory(profile_request.seconds)
        _log_summary(role, profile_request, cpu, memory)
        storage = storage_of(app)
        storage.put(report_key(profile_request, role, "html"), cpu.as_html().encode())
        storage.put(
            report_key(profile_request, role, "txt"), render_report(role, profile_request, cpu, memory).encode()
        )
        delete_old_reports(storage)
    except Exception:
        logger.exception("a profile failed", extra={"role": role})


def _log_summary(role: str, profile_request: ProfileRequest, cpu: CpuProfile, memory: list[Allocation]) -> None:
    fields = {"role": role, "profile": profile_request.id, "seconds": profile_request.seconds}
    summary = {"functions": [str(line) for line in cpu.top()], "memory": [str(line) for line in memory]}
    logger.info("profile", extra={**fields, **summary})


def render_report(role: str, profile_request: ProfileRequest, cpu: CpuProfile, memory: list[Allocation]) -> str:
    """Return a profile as text."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # in KiB, on Linux
    seconds = profile_request.seconds
    return "\n".join(
        [
            f"Profile {profile_request.id} of a {role} process ({os.getpid()} on {socket.gethostname()})",
            "",
            f"CPU: {cpu.used:.2f} s used by all threads in {seconds} s. Functions by their own CPU time:",
            *map(str, cpu.top()),
            "",
            f"Memory: peak {peak:.0f} MiB. Lines by memory allocated in another {seconds} s and not freed:",
            *map(str, memory),
            cpu.as_text(),
        ]
    )


def report_key(profile_request: ProfileRequest, role: str, kind: str) -> str:
    """Return the storage key of a report."""
    return f"{FOLDER}{profile_request.id}-{role}.{kind}"


def delete_old_reports(storage: Storage) -> None:
    """Delete all but the `REPORTS_TO_KEEP` newest reports of each role and kind."""
    keys = sorted(storage.list_keys(FOLDER))
    for suffix in (f"-{role}.{kind}" for role in ROLES for kind in ("html", "txt")):
        for key in [key for key in keys if key.endswith(suffix)][:-REPORTS_TO_KEEP]:
            storage.delete(key)


@click.command("profile")
@click.option("--seconds", type=click.IntRange(1, 600), help="Default: PROFILING_DURATION_SECONDS.")
@with_appcontext
def profile(seconds: int | None) -> None:
    """Profile a web process and a task process of the running service, and print the reports."""
    if not redis_of(current_app):
        raise click.ClickException("Profile requests are sent through Redis: set REDIS_URL.")
    profile_request = request_profiles(current_app, seconds or settings_of(current_app).PROFILING_DURATION_SECONDS)
    click.echo(f"requested profile {profile_request.id}; a process takes it with its next request or task", err=True)
    if missing := _print_reports(storage_of(current_app), profile_request):
        raise click.ClickException(f"No report yet of: {', '.join(missing)}. Look in {FOLDER} of the storage later.")


def _print_reports(storage: Storage, profile_request: ProfileRequest) -> list[str]:
    """Print reports as they appear in the storage; return the roles whose report did not appear in time."""
    deadline = time.monotonic() + 2 * profile_request.seconds + 3 * POLL_SECONDS
    missing = list(ROLES)
    while missing and time.monotonic() < deadline:  # polls for results; it repeats no failed operation
        time.sleep(0.5)
        for role in [role for role in missing if storage.exists(report_key(profile_request, role, "txt"))]:
            click.echo(storage.open(report_key(profile_request, role, "txt")).read().decode())
            missing.remove(role)
    return missing
