"""Starts what is measured: the service as in production, with everything on, and its peers.

Each has two processes of four threads. PostgreSQL, Redis and the way to run a program come from the tests of the baked
service, which lies on the module path.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.environments import production_environment
from tests.servers import PostgresServer, RedisServer, RunningService, clean_environment, free_port

from benchmarks.cost import cpu_seconds
from benchmarks.load import NotAnsweredError
from benchmarks.routes import HEALTH, Route

PEERS = Path(__file__).parent / "peers"
TOKEN_SECRET = "only for measuring, and no secret: 0123456789abcdef"  # noqa: S105  # it says what it is
SERVICE, FLASK, FASTAPI, DJANGO, FLOOR = "service", "bare Flask", "FastAPI", "Django REST framework", "floor"
QUIET_SECONDS, QUIET_CPU = 0.3, 0.02

GUNICORN = ["gunicorn", "--config", "gunicorn.conf.py"]
ENTRYPOINT = ["bash", "entrypoint.sh", "web"]
EVERYTHING = {"OTEL_TRACES_SAMPLER_ARG": "0.01", "ENABLE_DB_PROFILING": "true"}
UNSEEN = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "ENABLE_DB_PROFILING": "false"}

PEER_COMMANDS = {
    FLASK: ["gunicorn", "bare_flask:app", "--bind", "127.0.0.1:{port}"],
    FASTAPI: ["uvicorn", "plain_fastapi:app", "--port", "{port}", "--workers", "2", "--no-access-log"],
    DJANGO: ["gunicorn", "django_rest.wsgi", "--bind", "127.0.0.1:{port}"],
    FLOOR: ["gunicorn", "floor:app", "--bind", "127.0.0.1:{port}"],
}


@dataclass(frozen=True)
class Ground:
    """What every server stands on."""

    postgres: PostgresServer
    redis: RedisServer
    traces: str  # the address of whoever takes them
    service: Path  # a baked service
    peers: Path  # the virtual environment of the others


@dataclass
class Server:
    """Something that answers requests, and the tokens that it takes."""

    name: str
    process: RunningService
    port: int
    start_cpu: float  # seconds until it answered and had nothing left to do
    tokens: list[str] = field(default_factory=list)

    def ask(self, route: Route, token: str = "") -> str:
        """Send one request and return the body; raises NotAnsweredError if the answer is not what it should be."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(route.method, route.address(), route.body or None, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            status, text = 0, f"{error!r}; its last words: {self.process.output()[-2000:]}"
        if status != route.status or route.holds not in text:
            message = f"{self.name}: {route.method} {route.path} was answered {status}: {text[:2000]}"
            raise NotAnsweredError(message)
        return text


def start_service(
    ground: Ground, database: str, command: Sequence[str] = GUNICORN, *, name: str = SERVICE, **settings: str
) -> Server:
    """Start the service on a database; `settings` change what it is told."""
    port = free_port()
    environment = service_environment(ground, database, PORT=str(port), **settings)
    return _start(name, command, environment, ground.service, port)


def start_peer(ground: Ground, database: str, name: str) -> Server:
    """Start one of the others on a database."""
    port = free_port()
    program, *arguments = (word.format(port=port) for word in PEER_COMMANDS[name])
    environment = {"DATABASE_URL": ground.postgres.url(database), "TOKEN_SECRET": TOKEN_SECRET}
    return _start(name, [str(ground.peers / "bin" / program), *arguments], environment, PEERS, port)


def service_environment(ground: Ground, database: str, **settings: str) -> dict[str, str]:
    """Return the environment of a service with everything on, and with limits that hold but refuse nobody."""
    declared = (ground.service / ".env.example").read_text(encoding="utf-8")
    limits = dict.fromkeys(re.findall(r"^#?(RATELIMIT_\w+)=\d+/", declared, re.MULTILINE), "999999999/second")
    fixed = {"GUNICORN_WORKERS": "2", "GUNICORN_THREADS": "4", "ACCESS_TOKEN_SECONDS": "86400"}
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": ground.traces}
    told: dict[str, Any] = {**fixed, **limits, **EVERYTHING, **traces, **settings}
    address, redis = ground.postgres.url(database), ground.redis.url
    environment: dict[str, str] = production_environment(address, redis, **told)
    return environment


def migrate(ground: Ground, database: str) -> None:
    """Make the service's tables."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    environment = clean_environment(service_environment(ground, database))
    done = subprocess.run(
        command, cwd=ground.service, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        message = f"flask db upgrade failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        raise NotAnsweredError(message)


def _start(name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, port: int) -> Server:
    told = {"PYTHONDONTWRITEBYTECODE": "", "PATH": os.environ["PATH"], **environment}
    process = RunningService(list(command), told, folder=folder)
    process.wait_until_listening(port)
    server = Server(name, process, port, 0.0)
    server.ask(HEALTH)
    server.start_cpu = _settled_cpu(process.pid)
    return server


def _settled_cpu(pid: int) -> float:
    """Return the CPU time of a server once it hardly uses any more: every process of it is up."""
    before = cpu_seconds(pid)
    while True:
        time.sleep(QUIET_SECONDS)
        now = cpu_seconds(pid)
        if now - before < QUIET_CPU:
            return now
        before = now
