"""The owners of API keys that were looked up before, so that a rejected request costs no database query.

An entry decides which user a request counts for, or that a key is known to be invalid. It never authenticates a caller.
An invalid key never becomes valid, and a valid one never changes its owner.
"""

from __future__ import annotations

import hashlib
import logging
from threading import Lock

from cachetools import LRUCache
from flask import Flask, current_app
from redis import Redis, RedisError

from app.platform.circuit_breaker import CircuitBreaker
from app.platform.components import platform_of
from app.platform.redis.client import redis_breaker_of, redis_of
from app.platform.settings.declarations import settings_of

logger = logging.getLogger(__name__)

INVALID = 0  # in place of a user id: no such key, or it is revoked or expired
MAX_LOCAL_KEYS = 10_000
LIFETIME_SECONDS = 86_400


class ApiKeyOwners:
    """User ids by API key: in Redis, and for the most recently used keys also in this process."""

    def __init__(self, redis: Redis | None, breaker: CircuitBreaker, prefix: str) -> None:
        self._redis, self._breaker, self._prefix = redis, breaker, prefix
        self._local: LRUCache[str, int] = LRUCache(MAX_LOCAL_KEYS)
        self._lock = Lock()

    def get(self, key: str) -> int | None:
        """Return the user id of a key's owner, `INVALID`, or None if the key has not been looked up."""
        name = self._name(key)
        with self._lock:
            owner = self._local.get(name)
        if owner is None and self._redis is not None and self._breaker.allows_request():
            try:
                stored = self._redis.get(name)
            except RedisError as error:
                self._record_failure(error)
            else:
                owner = int(str(stored)) if stored is not None else None
        return owner

    def remember(self, key: str, owner: int) -> None:
        """Store the result of a lookup: the user id, or `INVALID`."""
        name = self._name(key)
        with self._lock:
            if self._local.get(name) == owner:
                return
            self._local[name] = owner
        if self._redis is not None and self._breaker.allows_request():
            try:
                self._redis.set(name, owner, ex=LIFETIME_SECONDS)
            except RedisError as error:
                self._record_failure(error)

    def _name(self, key: str) -> str:
        return f"{self._prefix}:api-key-owner:{hashlib.sha256(key.encode()).hexdigest()}"

    def _record_failure(self, error: RedisError) -> None:
        self._breaker.record_failure()
        logger.warning("Redis does not answer; API keys are looked up in the database: %s", error)


def init_app(app: Flask) -> None:
    """Create the store."""
    prefix = settings_of(app).SERVICE_NAME
    platform_of(app).add(ApiKeyOwners(redis_of(app), redis_breaker_of(app), prefix))


def api_key_owners() -> ApiKeyOwners:
    """Return the store of the current app."""
    return platform_of(current_app).get(ApiKeyOwners)
