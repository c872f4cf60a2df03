"""Start the measured servers: the service in production mode with all features on, and its peers.

Each server has two processes of four threads.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load_generator import RequestFailedError
from benchmarks.process_stats import cpu_seconds
from benchmarks.routes import HEALTH_CHECK, Route
from benchmarks.service_app import (
    PostgresServer,
    RedisServer,
    RunningService,
    clean_environment,
    free_port,
    production_environment,
)

PEERS = Path(__file__).parent / "peers"
TOKEN_SECRET = "only for measuring, and no secret: 0123456789abcdef"  # noqa: S105  # public; only for the benchmark
SERVICE, FLASK, FASTAPI, DJANGO = "service", "bare Flask", "FastAPI", "Django REST framework"
MINIMAL_WSGI = "minimal WSGI"
IDLE_INTERVAL_SECONDS, IDLE_CPU_SECONDS = 0.3, 0.02

GUNICORN_COMMAND = ["gunicorn", "--config", "gunicorn.conf.py"]
ENTRYPOINT_COMMAND = ["bash", "entrypoint.sh", "web"]
ALL_FEATURES_ON = {"OTEL_TRACES_SAMPLER_ARG": "0.01", "ENABLE_DB_PROFILING": "true"}
TRACING_AND_PROFILER_OFF = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "ENABLE_DB_PROFILING": "false"}

PEER_COMMANDS = {
    FLASK: ["gunicorn", "bare_flask:app", "--bind", "127.0.0.1:{port}"],
    FASTAPI: ["uvicorn", "plain_fastapi:app", "--port", "{port}", "--workers", "2", "--no-access-log"],
    DJANGO: ["gunicorn", "django_rest.wsgi", "--bind", "127.0.0.1:{port}"],
    MINIMAL_WSGI: ["gunicorn", "minimal_wsgi:app", "--bind", "127.0.0.1:{port}"],
}


@dataclass(frozen=True)
class Environment:
    """The backing servers and folders that every measured server uses."""

    postgres: PostgresServer
    redis: RedisServer
    otlp_endpoint: str  # URL of the trace receiver
    service: Path  # folder of a baked service
    peers: Path  # virtual environment of the peers


@dataclass
class Server:
    """A running server, and the bearer tokens that it accepts."""

    name: str
    process: RunningService
    port: int
    startup_cpu: float  # CPU seconds until the server responds and is idle
    tokens: list[str] = field(default_factory=list)

    def request(self, route: Route, token: str = "") -> str:
        """Send one request and return the body; raises RequestFailedError if the response is not the expected one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(route.method, route.next_path(), route.body or None, headers)
            response = connection.getresponse()
            status, text = response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            status, text = 0, f"{error!r}; last output: {self.process.output()[-2000:]}"
        if status != route.status or route.expected_text not in text:
            message = f"{self.name}: {route.method} {route.path} returned status {status}: {text[:2000]}"
            raise RequestFailedError(message)
        return text


def start_service(
    environment: Environment,
    database: str,
    command: Sequence[str] = GUNICORN_COMMAND,
    *,
    name: str = SERVICE,
    **settings: str,
) -> Server:
    """Start the service on a database; `settings` override its environment variables."""
    port = free_port()
    variables = service_variables(environment, database, PORT=str(port), **settings)
    return _start(name, command, variables, environment.service, port)


def start_peer(environment: Environment, database: str, name: str) -> Server:
    """Start a peer on a database."""
    port = free_port()
    program, *arguments = (word.format(port=port) for word in PEER_COMMANDS[name])
    variables = {"DATABASE_URL": environment.postgres.url(database), "TOKEN_SECRET": TOKEN_SECRET}
    return _start(name, [str(environment.peers / "bin" / program), *arguments], variables, PEERS, port)


def service_variables(environment: Environment, database: str, **settings: str) -> dict[str, str]:
    """Return environment variables that turn all features on, with rate limits that reject no request."""
    env_example = (environment.service / ".env.example").read_text(encoding="utf-8")
    limits = dict.fromkeys(re.findall(r"^#?(RATELIMIT_\w+)=\d+/", env_example, re.MULTILINE), "999999999/second")
    fixed = {"GUNICORN_WORKERS": "2", "GUNICORN_THREADS": "4", "ACCESS_TOKEN_SECONDS": "86400"}
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": environment.otlp_endpoint}
    # Not in /dev/shm, the default: the servers are killed at the end and leave it there.
    folder = {"PROMETHEUS_MULTIPROC_DIR": tempfile.mkdtemp(prefix="metrics-")}
    overrides: dict[str, Any] = {**fixed, **limits, **ALL_FEATURES_ON, **traces, **folder, **settings}
    database_url, redis_url = environment.postgres.url(database), environment.redis.url
    variables: dict[str, str] = production_environment(database_url, redis_url, **overrides)
    return variables


def migrate(environment: Environment, database: str) -> None:
    """Create the service's tables with `flask db upgrade`; raises RequestFailedError with its output."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    done = subprocess.run(
        command,
        cwd=environment.service,
        env=clean_environment(service_variables(environment, database)),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        message = f"flask db upgrade failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        raise RequestFailedError(message)


def _start(name: str, command: Sequence[str], variables: Mapping[str, str], folder: Path, port: int) -> Server:
    variables = {"PYTHONDONTWRITEBYTECODE": "", "PATH": os.environ["PATH"], **variables}
    process = RunningService(list(command), variables, folder=folder)
    process.wait_until_listening(port)
    server = Server(name, process, port, 0.0)
    server.request(HEALTH_CHECK)
    server.startup_cpu = wait_until_idle(server)
    return server


def wait_until_idle(server: Server) -> float:
    """Wait until a server is idle, and thus all its processes are up; return its CPU seconds."""
    before = cpu_seconds(server.process.pid)
    while True:
        time.sleep(IDLE_INTERVAL_SECONDS)
        now = cpu_seconds(server.process.pid)
        if now - before < IDLE_CPU_SECONDS:
            return now
        before = now
