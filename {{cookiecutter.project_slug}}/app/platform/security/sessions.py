"""Revoked sessions whose access tokens have not expired yet.

The database stores every session. Redis stores the sessions that were revoked in the last minutes, so that each replica
rejects their tokens after one short lookup. While Redis is unavailable or not configured, the database is queried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flask import Flask, current_app
from redis import RedisError

from app.platform.components import platform_of
from app.platform.redis.client import redis_breaker_of, redis_of
from app.platform.settings.declarations import settings_of
from app.platform.web.request_state import request_state

logger = logging.getLogger(__name__)

CLOCK_MARGIN_SECONDS = 60  # clocks of replicas differ

IsActive = Callable[[int], bool]


@dataclass(frozen=True)
class SessionLookup:
    """The authoritative session lookup: whether the session with this id is active."""

    is_active: IsActive


def register_session_lookup(app: Flask, is_active: IsActive) -> None:
    """Register the authoritative session lookup."""
    platform_of(app).add(SessionLookup(is_active))


def revoke(session_ids: Iterable[int]) -> None:
    """Make every replica reject the access tokens of these sessions; call it after the commit.

    If Redis does not answer, the failure is logged: the database is queried while Redis is unavailable, and a periodic
    task repeats recent revocations.
    """
    redis = redis_of(current_app)
    if redis is None:
        return
    try:
        with redis.pipeline(transaction=False) as pipeline:
            for session_id in session_ids:
                pipeline.set(revoked_key(session_id), 1, ex=revocation_seconds())
            pipeline.execute()
    except RedisError as error:
        redis_breaker_of(current_app).record_failure()
        logger.warning("revoked sessions were not written to Redis: %s", error)


def revocation_seconds() -> int:
    """Return how long revocations must be known: until the last access token has expired by every replica's clock."""
    return settings_of(current_app).ACCESS_TOKEN_SECONDS + CLOCK_MARGIN_SECONDS


def revoked_key(session_id: int) -> str:
    """Return the Redis key that exists once the session is revoked."""
    return f"{settings_of(current_app).SERVICE_NAME}:revoked:{session_id}"


def remember_result(session_id: int, *, revoked: bool) -> None:
    """Cache the session state that the rate-limit script returned, for this request."""
    request_state().session_lookup = (session_id, revoked)


def is_revoked(session_id: int) -> bool:
    """Whether the tokens of this session must be rejected."""
    cached = request_state().session_lookup
    if cached and cached[0] == session_id:
        return cached[1]
    redis, breaker = redis_of(current_app), redis_breaker_of(current_app)
    if redis is not None and breaker.allows_request():
        try:
            return bool(redis.exists(revoked_key(session_id)))
        except RedisError as error:
            breaker.record_failure()
            logger.warning("Redis does not answer; sessions are looked up in the database: %s", error)
    return not platform_of(current_app).get(SessionLookup).is_active(session_id)
