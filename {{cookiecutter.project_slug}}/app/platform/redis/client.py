"""The Redis connection pool, with timeouts so short that an unavailable Redis costs little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from opentelemetry import trace
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.platform.circuit_breaker import CircuitBreaker
from app.platform.components import platform_of
from app.platform.settings.declarations import Settings, settings_of
from app.platform.settings.redis_url import parse_redis_url
from app.platform.telemetry.dependency_checks import register_dependency_check
from app.platform.telemetry.tracing import is_recording

COOLDOWN_SECONDS = 2.0  # no calls of Redis after a failure


class TracedRedis(Redis):
    """Creates a span per command, without its arguments.

    It costs an unsampled request a microsecond; the instrumentor's wrapper costs 20.
    """

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """Send a command and return its response."""
        execute: Callable[..., Any] = super().execute_command
        if not is_recording():
            return execute(*words, **options)
        command = str(words[0])
        attributes = {"db.system.name": "redis", "db.operation.name": command}
        tracer = trace.get_tracer(__name__)
        with tracer.start_as_current_span(command, kind=trace.SpanKind.CLIENT, attributes=attributes):
            return execute(*words, **options)


@dataclass(frozen=True)
class RedisConnection:
    """The client of one app (None without Redis) and its circuit breaker."""

    client: Redis | None
    breaker: CircuitBreaker = field(default_factory=lambda: CircuitBreaker(COOLDOWN_SECONDS))


def init_app(app: Flask) -> None:
    """Create the client, if Redis is configured; no connection is opened yet."""
    settings = settings_of(app)
    client = create_client(settings) if settings.REDIS_URL else None
    platform_of(app).add(RedisConnection(client))
    if client is not None:
        register_dependency_check(app, "redis", client.ping)


def create_client(settings: Settings, url: str | None = None, *, decode_responses: bool = True) -> Redis:
    """Return a client for `url` (default `REDIS_URL`).

    It waits `REDIS_TIMEOUT_SECONDS` and never retries; the library's defaults wait 3 to 60 s.
    """
    seconds = settings.REDIS_TIMEOUT_SECONDS
    client = TracedRedis if settings.OTEL_EXPORTER_OTLP_ENDPOINT else Redis
    return client(
        **parse_redis_url(url or settings.REDIS_URL or "").client_options,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        decode_responses=decode_responses,
    )


def redis_of(app: Flask) -> Redis | None:
    """Return the app's Redis client, or None where none is configured."""
    return platform_of(app).get(RedisConnection).client


def redis_breaker_of(app: Flask) -> CircuitBreaker:
    """Return the circuit breaker shared by all users of Redis that can work without it."""
    return platform_of(app).get(RedisConnection).breaker
