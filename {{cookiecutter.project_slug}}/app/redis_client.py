"""The one connection pool to Redis, with waits so short that a dead Redis costs little."""

from __future__ import annotations

from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.pings import register_ping
from app.settings import Settings, settings_of


def init_app(app: Flask) -> None:
    """Connect the app to Redis, where one is configured; nothing is opened yet."""
    settings = settings_of(app)
    client = connect(settings) if settings.REDIS_URL else None
    app.extensions["redis"] = client
    if client is not None:
        register_ping(app, "redis", client.ping)


def connect(settings: Settings) -> Redis:
    """A client that waits `REDIS_TIMEOUT_SECONDS` and never tries twice; the library's defaults wait 3 to 60 s."""
    seconds = settings.REDIS_TIMEOUT_SECONDS
    return Redis.from_url(
        settings.REDIS_URL or "",
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        decode_responses=True,
    )


def redis_of(app: Flask) -> Redis | None:
    """The app's Redis, or None where none is configured."""
    client: Redis | None = app.extensions["redis"]
    return client
