"""Gunicorn: how many processes serve, how they share their counters, and how they stop."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn import glogging

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

gc.disable()  # until all is loaded: to search it again and again for what can go takes a seventh of the time to start

# Before any metric is made: where the processes keep their counts (app/observability/slots.py).
given_directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
metrics_directory = Path(given_directory or tempfile.mkdtemp(prefix="metrics-"))
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_directory)
metrics_directory.mkdir(parents=True, exist_ok=True)
for leftover in metrics_directory.glob("*.db"):
    leftover.unlink()

from app.configuration import load  # noqa: E402 - makes metrics
from app.environment import SettingsError  # noqa: E402
from app.observability import slots  # noqa: E402
from app.observability.logging import configuration  # noqa: E402

try:
    settings = load()
except SettingsError as error:
    sys.exit(str(error))


class Logger(glogging.Logger):
    """Gunicorn's log, through the app's own formatter."""

    def access(self, *_: object) -> None:
        """Write nothing: the app writes a line per request, with its ids and without its query."""


wsgi_app = "wsgi:app"
bind = f"{settings.BIND_ADDRESS}:{settings.PORT}"
worker_class = "gthread"
workers = settings.GUNICORN_WORKERS
threads = settings.GUNICORN_THREADS
preload_app = True  # the app is loaded once, so a bad one never listens; the code changes with the container
timeout = settings.GUNICORN_TIMEOUT
graceful_timeout = settings.GUNICORN_GRACEFUL_TIMEOUT
max_requests = settings.GUNICORN_MAX_REQUESTS
max_requests_jitter = max_requests // 10
keepalive = 75  # longer than a proxy keeps a connection, or else it would send into one that is being closed
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a heartbeat must not wait for a disk
control_socket_disable = True  # it is a file, and the root file system is read-only
logger_class = Logger
logconfig_dict = configuration(settings)
forwarded_allow_ips = ""  # the app decides whom to believe: TRUSTED_PROXIES


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Give the new process the first free slot."""
    taken = {sibling.slot for sibling in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
    gc.freeze()  # what is there stays: a collection that looked at it would copy every page of it into the new process


def post_fork(_server: Arbiter, worker: Worker) -> None:
    """Count in the process's own files."""
    slots.take(worker.slot)


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Forget what the process was doing; what it has done stays counted."""
    slots.free(worker.slot)


def when_ready(server: Arbiter) -> None:
    """Say what is missing, and drain before a stop: connections that wait to be accepted would be reset."""
    gc.enable()
    if settings.embedded:
        server.log.warning("for development only: %s", "; ".join(settings.embedded))
    if settings.DRAIN_SECONDS:
        signal.signal(signal.SIGTERM, lambda number, frame: drain(server, number, frame))


def drain(server: Arbiter, number: int, frame: Any) -> None:
    """Say in `/ready` that this service is leaving, and stop a while later; at once when told a second time."""
    from app.health import is_draining, start_draining  # noqa: PLC0415 - not before the settings are known to be good

    if is_draining():
        server.signal(number, frame)
        return
    start_draining()
    timer = threading.Timer(settings.DRAIN_SECONDS, server.signal, (number, frame))
    timer.daemon = True
    timer.start()


def on_exit(_server: Arbiter) -> None:
    """Leave no folder behind."""
    if not given_directory:
        shutil.rmtree(metrics_directory, ignore_errors=True)
