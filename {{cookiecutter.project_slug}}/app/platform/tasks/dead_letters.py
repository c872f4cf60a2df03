"""Messages in the task queue that are no task of this service: they are kept, counted and logged, and work goes on.

Celery's worker ends on a message that is no JSON, and deletes an unknown task. `Transport` keeps what is no message of
Celery, before the library reads it; `consumer` keeps messages that contain no valid task.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as transport
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from prometheus_client import Counter
from redis import Redis, RedisError

from app.platform.components import platform_of
from app.platform.redis.client import create_client
from app.platform.settings.declarations import settings_of
from app.platform.tasks.celery import get_flask_app

logger = logging.getLogger(__name__)

MAX_LETTERS = 500
MAX_CHARACTERS = 65_536  # of a message; 500 of these are 32 MB
KEPT_SECONDS = 30 * 86_400  # since the last letter; messages may contain personal data

NOT_JSON, ENVELOPE, CONTENT, HEADERS, UNKNOWN_TASK, ARGUMENTS = REASONS = (
    *("not_json", "envelope", "content", "headers", "unknown_task", "arguments"),
)
LETTERS = Counter("celery_dead_letters_total", "Messages that are no task of this service", ["reason"])
for reason in REASONS:  # create the counters: `rate()` would miss the first of each
    LETTERS.labels(reason)


class DeadLetters:
    """The newest `MAX_LETTERS` dead letters, in a list in the Redis of the broker."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis, self.key = redis, key

    def keep(self, reason: str, queue: str, content: str, *, task: str = "") -> bool:
        """Count, log and store a message; returns False if Redis did not store it. The log has none of its content."""
        LETTERS.labels(reason).inc()
        about = {"reason": reason, "queue": queue, "task": task[:200], "characters": len(content)}
        logger.error("a message is no task of this service", extra=about)
        letter = {"at": datetime.now(UTC).isoformat(), **about, "message": content[:MAX_CHARACTERS]}
        try:
            with self._redis.pipeline() as pipeline:
                pipeline.lpush(self.key, json.dumps(letter))
                pipeline.ltrim(self.key, 0, MAX_LETTERS - 1)
                pipeline.expire(self.key, KEPT_SECONDS)
                pipeline.execute()
        except RedisError as error:
            logger.error("a dead letter was not stored: %s", error)  # noqa: TRY400 - no traceback needed
            return False
        return True


def init_app(app: Flask) -> None:
    """Read messages through `Transport`, and keep dead letters in the broker's Redis, if there is one."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
    settings = settings_of(app)
    if settings.broker_url:
        redis = create_client(settings, settings.broker_url)
        platform_of(app).add(DeadLetters(redis, f"{settings.SERVICE_NAME}:dead-letters"))


def dead_letters_of(app: Flask) -> DeadLetters:
    """Return the dead letters of an app with a broker."""
    return platform_of(app).get(DeadLetters)


def envelope_problem(envelope: Any) -> str:
    """Return the reason why parsed JSON is no message of Celery; empty if it is one."""
    match envelope:
        case {
            "body": str(body),
            "headers": dict(),
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": str(),
                "delivery_info": {"exchange": str(), "routing_key": str()},
            },
        }:
            return "" if _is_base64(body) else CONTENT
        case _:
            return ENVELOPE


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text)
    except ValueError:
        return False
    return True


def message_problem(item: bytes) -> str:
    """Return the reason why an entry of a queue is no message of Celery; empty if it is one."""
    try:
        envelope = loads(bytes_to_str(item))
    except Exception:  # noqa: BLE001 - the decoders of the library raise many classes
        return NOT_JSON
    return envelope_problem(envelope)


class QueueClient(Redis):
    """Receives messages; an entry that is no message is kept as a dead letter, and counts as no entry."""

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Return the reply to a command; None for an entry of a queue that is no message."""
        parse: Callable[..., Any] = super().parse_response
        reply = parse(connection, command_name, **options)
        if command_name != "BRPOP" or not reply:
            return reply
        queue, item = reply
        if not (problem := message_problem(item)):
            return reply
        text = bytes(item).decode(errors="backslashreplace")
        dead_letters_of(get_flask_app()).keep(problem, bytes_to_str(queue), text)
        return None


class Channel(transport.Channel):
    """A channel that survives what is no message."""

    def _get_client(self) -> Any:
        get_client: Callable[[], Any] = super()._get_client
        client = get_client()
        return QueueClient if client is Redis else client

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        """Deliver a remote control command or an event; drop what is none."""
        if problem := envelope_problem(message):
            LETTERS.labels(problem).inc()
            logger.error("a broadcast is no message of Celery", extra={"reason": problem, "queue": exchange})
            return True
        deliver: Callable[[Any, str], Any] = super()._deliver_fanout_message
        return deliver(message, exchange)


class Transport(transport.Transport):
    """Kombu's transport over Redis, with channels that survive what is no message."""

    Channel = Channel
