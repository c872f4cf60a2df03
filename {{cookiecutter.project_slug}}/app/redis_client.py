"""The one connection pool to Redis, with waits so short that a dead Redis costs little."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask
from opentelemetry import trace
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.observability.tracing import is_sampled
from app.pings import register_ping
from app.settings import Settings, settings_of

# How long to go without Redis after it failed, so that its timeout is paid once and not by every request.
REST_SECONDS = 2.0


class TracedRedis(Redis):
    """Tells traces of commands, without their arguments.

    A request that is not sampled pays a microsecond for it, and the instrumentor's wrapper 20.
    """

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """Send a command and return its answer."""
        if not is_sampled():
            return super().execute_command(*words, **options)  # type: ignore[no-untyped-call]
        command = str(words[0])
        told = {"db.system.name": "redis", "db.operation.name": command}
        with trace.get_tracer(__name__).start_as_current_span(command, kind=trace.SpanKind.CLIENT, attributes=told):
            return super().execute_command(*words, **options)  # type: ignore[no-untyped-call]


class Rest:
    """The time in which Redis is not asked, because it failed a moment ago."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        """Ask nobody for the next `REST_SECONDS`."""
        self._until = time.monotonic() + REST_SECONDS

    def is_over(self) -> bool:
        """Whether Redis may be asked."""
        return time.monotonic() >= self._until


def init_app(app: Flask) -> None:
    """Connect the app to Redis, where one is configured; nothing is opened yet."""
    settings = settings_of(app)
    client = connect(settings) if settings.REDIS_URL else None
    app.extensions["redis"] = client
    app.extensions["redis_rest"] = Rest()
    if client is not None:
        register_ping(app, "redis", client.ping)


def connect(settings: Settings, url: str | None = None, *, as_text: bool = True) -> Redis:
    """A client that waits `REDIS_TIMEOUT_SECONDS` and never tries twice; the library's defaults wait 3 to 60 s.

    Of the Redis at `REDIS_URL`, unless another is given; `as_text` says whether it gives texts or bytes.
    """
    seconds = settings.REDIS_TIMEOUT_SECONDS
    client = TracedRedis if settings.OTEL_EXPORTER_OTLP_ENDPOINT else Redis
    return client.from_url(
        url or settings.REDIS_URL or "",
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        decode_responses=as_text,
    )


def redis_of(app: Flask) -> Redis | None:
    """The app's Redis, or None where none is configured."""
    client: Redis | None = app.extensions["redis"]
    return client


def rest_of(app: Flask) -> Rest:
    """The app's rest from Redis, common to all who can do without it for a while."""
    rest: Rest = app.extensions["redis_rest"]
    return rest
