"""The service as it runs in production, with servers of its own to stop, freeze and start again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import requests

from tests.environments import ROOT, production_environment
from tests.servers import PostgresServer, RedisServer, RunningService, free_port, start_redis

GUNICORN = ["gunicorn", "--config", "gunicorn.conf.py"]


@dataclass
class Web:
    """A running web container, so to speak."""

    process: RunningService
    url: str

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **options)  # type: ignore[arg-type] # passed on

    def post(self, path: str, body: object, **options: object) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=30, **options)  # type: ignore[arg-type] # passed on


StartWeb = Callable[..., Web]


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis without any keys."""
    redis_server.flush()
    yield redis_server
    redis_server.flush()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis to stop and to freeze."""
    with start_redis() as server:
        yield server


@pytest.fixture
def start_web(migrated_database: str, redis: RedisServer) -> Iterator[StartWeb]:
    """Starts Gunicorn on a migrated database."""
    with ExitStack() as running:

        def start(command: list[str] | None = None, *, redis_url: str = redis.url, **settings: str) -> Web:
            port = free_port()
            given = {"DATABASE_URL": migrated_database, **settings}
            environment = production_environment(given.pop("DATABASE_URL"), redis_url, PORT=str(port), **given)
            process = running.enter_context(RunningService(command or GUNICORN, environment, folder=ROOT))
            process.wait_until_listening(port)
            web = Web(process, f"http://127.0.0.1:{port}")
            web.get("/health")  # the port is open before the first process serves, and before signals are heard
            return web

        yield start


@pytest.fixture
def web(start_web: StartWeb, redis: RedisServer) -> Web:
    """Two web processes with nothing special about them."""
    return start_web(redis_url=redis.url)


@pytest.fixture
def start_worker(migrated_database: str, redis: RedisServer) -> Iterator[Callable[..., RunningService]]:
    """Starts a Celery worker or beat."""
    with ExitStack() as running:

        def start(command: list[str], **settings: str) -> RunningService:
            environment = production_environment(migrated_database, redis.url, **settings)
            return running.enter_context(
                RunningService(["celery", "--app", "wsgi:celery", *command], environment, folder=ROOT)
            )

        yield start


__all__ = ["PostgresServer", "StartWeb", "Web"]
