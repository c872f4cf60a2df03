"""The service as in production, with servers that a test may stop, freeze and restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import pytest
import requests

from tests.environments import ROOT, production_environment
from tests.servers import RedisServer, RunningService, free_port, start_redis

GUNICORN = ["gunicorn", "--config", "gunicorn.conf.py"]
WORKER = ["worker", "--loglevel", "INFO", "--concurrency", "1"]
# The same with the routes and tasks of fault_app.
FAULT_GUNICORN = [*GUNICORN, "tests.running.fault_app:app"]
FAULT_WORKER = ["--app", "tests.running.fault_app:celery", *WORKER]


@dataclass
class Web:
    """Running web processes and their URL."""

    process: RunningService
    url: str

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **options)  # type: ignore[arg-type] # passed on

    def post(self, path: str, body: object, **options: object) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=60, **options)  # type: ignore[arg-type] # passed on


StartWeb = Callable[..., Web]
StartWorker = Callable[..., RunningService]


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """An empty Redis."""
    redis_server.flush()
    yield redis_server
    redis_server.flush()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that the test may stop or freeze."""
    with start_redis() as server:
        yield server


@contextmanager
def run_web(database_url: str, redis_url: str, command: Sequence[str] = GUNICORN, **settings: str) -> Iterator[Web]:
    """Run web processes on a migrated database."""
    port = free_port()
    # The default is in /dev/shm, where processes that are killed would leave their metrics.
    with TemporaryDirectory(prefix="metrics-") as metrics:
        settings = {"PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": metrics, **settings}
        environment = production_environment(database_url, redis_url, **settings)
        with RunningService(command, environment, folder=ROOT) as process:
            process.wait_until_listening(port)
            web = Web(process, f"http://127.0.0.1:{port}")
            web.get("/health")  # the port accepts connections before a process serves and handles signals
            yield web


def run_celery(database_url: str, redis_url: str, command: Sequence[str], **settings: str) -> RunningService:
    """Start a Celery worker or beat; leaving its `with` block ends it."""
    environment = production_environment(database_url, redis_url, **settings)
    return RunningService(["celery", "--app", "wsgi:celery", *command], environment, folder=ROOT)


@pytest.fixture
def start_web(migrated_database: str, redis: RedisServer) -> Iterator[StartWeb]:
    """Return a function that starts Gunicorn on a migrated database."""
    with ExitStack() as running:

        def start(command: Sequence[str] = GUNICORN, *, redis_url: str = redis.url, **settings: str) -> Web:
            database_url = settings.pop("DATABASE_URL", migrated_database)
            return running.enter_context(run_web(database_url, redis_url, command, **settings))

        yield start


@pytest.fixture
def web(start_web: StartWeb) -> Web:
    """Two web processes with default settings."""
    return start_web()


@pytest.fixture
def start_worker(migrated_database: str, redis: RedisServer) -> Iterator[StartWorker]:
    """Return a function that starts a Celery worker or beat."""
    with ExitStack() as running:

        def start(command: Sequence[str], **settings: str) -> RunningService:
            return running.enter_context(run_celery(migrated_database, redis.url, command, **settings))

        yield start
