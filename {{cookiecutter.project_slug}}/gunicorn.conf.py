"""Gunicorn configuration: worker processes, shared metrics, and graceful shutdown."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn import glogging

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

# In memory: heartbeats must not wait for a disk, and uploads must not fill the file system of the metrics. A process
# that writes to a metric file on a full file system is killed by SIGBUS.
SHARED_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - the usual name of the mount

# Set before any metric is created: the directory of the per-process metric files.
configured_directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
metrics_directory = Path(configured_directory or tempfile.mkdtemp(prefix="metrics-", dir=SHARED_MEMORY))
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_directory)
try:
    metrics_directory.mkdir(parents=True, exist_ok=True)
    for leftover in metrics_directory.glob("*.db"):
        leftover.unlink()
    with tempfile.TemporaryFile(dir=metrics_directory):
        pass
except OSError as error:
    sys.exit(f"PROMETHEUS_MULTIPROC_DIR must name a writable folder: {metrics_directory}: {error.strerror}.")

from app.features import FEATURE_SETTINGS, PERSONAL_FIELDS  # noqa: E402 - creates metrics
from app.platform.settings.checks import load_settings  # noqa: E402
from app.platform.settings.fields import SettingsError  # noqa: E402
from app.platform.telemetry import multiprocess_metrics  # noqa: E402
from app.platform.telemetry.logging import logging_config, reset_context  # noqa: E402
from app.platform.web.gunicorn_worker import BoundedThreadWorker  # noqa: E402

try:
    checked = load_settings(None, FEATURE_SETTINGS)
except SettingsError as error:
    sys.exit(str(error))
settings = checked.settings


class Logger(glogging.Logger):
    """Gunicorn's error log in the app's format, without an access log."""

    def access(self, *_: object) -> None:
        """Write nothing: the app logs each request, with its ids and without its query string."""


# glibc keeps freed blocks, such as the 19 MiB of a password hash or the parts of a large body. With a fixed threshold
# it returns blocks of 1 MiB and more to the system, and one arena for all threads leaves fewer holes between smaller
# ones: memory shrinks after a flood (`make overload` of the template). Other C libraries lack the function.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
with suppress(AttributeError):
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1024 * 1024)
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)

wsgi_app = "wsgi:app"
address = settings.BIND_ADDRESS
bind = f"[{address}]:{settings.PORT}" if ":" in address else f"{address}:{settings.PORT}"
worker_class = BoundedThreadWorker
workers = settings.GUNICORN_WORKERS
threads = settings.GUNICORN_THREADS
preload_app = True  # an app that fails to load never listens; new code comes with a new container
timeout = settings.GUNICORN_TIMEOUT
graceful_timeout = settings.GUNICORN_GRACEFUL_TIMEOUT
max_requests = settings.GUNICORN_MAX_REQUESTS
max_requests_jitter = max_requests // 10
keepalive = 75  # longer than the proxy's, or the proxy could reuse a connection that is being closed
worker_tmp_dir = SHARED_MEMORY
control_socket_disable = True  # the socket is a file, and the root file system is read-only
logger_class = Logger
logconfig_dict = logging_config(settings, checked.secrets, PERSONAL_FIELDS)
forwarded_allow_ips = ""  # the app decides which proxies to trust: TRUSTED_PROXIES

BoundedThreadWorker.queue_seconds = settings.GUNICORN_QUEUE_SECONDS
BoundedThreadWorker.receive_seconds = settings.REQUEST_RECEIVE_SECONDS


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Assign the first free metrics slot to the new process."""
    used_slots = {sibling.slot for sibling in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(len(used_slots) + 1) if slot not in used_slots)
    gc.freeze()  # without this, a garbage collection would copy the app's memory pages into the new process


def post_fork(_server: Arbiter, worker: Worker) -> None:
    """Write metrics to the files of the worker's slot."""
    multiprocess_metrics.acquire(worker.slot)


def post_request(_worker: Worker, _request: object, _environ: object, _response: object) -> None:
    """Forget the user and the request id, which lines about the next request of this thread would have."""
    reset_context()


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Drop the live gauges of the dead process; its counters stay."""
    multiprocess_metrics.release(worker.slot)


def when_ready(server: Arbiter) -> None:
    """Log the development substitutes; drain before shutdown, which would reset connections not yet accepted."""
    if settings.development_substitutes:
        server.log.warning("for development only: %s", "; ".join(settings.development_substitutes))
    if not settings.MAIL_SERVER and not settings.in_production:  # in production, `flask prepare` prints a warning
        server.log.info("no e-mail is sent, and every account counts as verified: MAIL_SERVER is not set")
    if settings.DRAIN_SECONDS:
        signal.signal(signal.SIGTERM, lambda number, frame: drain(server, number, frame))


def drain(server: Arbiter, number: int, frame: Any) -> None:
    """Fail `/ready` for DRAIN_SECONDS, then stop; a second signal stops immediately."""
    from app.platform.operations.health import is_draining, start_draining  # noqa: PLC0415 - only after the settings are valid

    if is_draining():
        server.signal(number, frame)
        return
    start_draining()
    timer = threading.Timer(settings.DRAIN_SECONDS, server.signal, (number, frame))
    timer.daemon = True
    timer.start()


def on_exit(_server: Arbiter) -> None:
    """Remove the metrics directory if this process created it."""
    if not configured_directory:
        shutil.rmtree(metrics_directory, ignore_errors=True)
