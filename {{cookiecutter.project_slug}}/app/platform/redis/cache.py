"""A cache in Redis, shared by every process and replica.

While Redis is unavailable or not configured, every value is computed: that is a bypass, and it is counted. No process
keeps values of its own. When several callers miss the same value, one computes it and the others wait for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, current_app
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from redis import Redis, RedisError

from app.platform.circuit_breaker import CircuitBreaker
from app.platform.components import platform_of
from app.platform.redis.client import COOLDOWN_SECONDS, create_client, redis_breaker_of
from app.platform.retries import attempts
from app.platform.settings.declarations import settings_of

logger = logging.getLogger(__name__)

MAX_BYTES = 262_144  # of one value as JSON; larger ones would evict other keys from Redis
WAIT_SECONDS = 3.0  # for a value that another caller computes, or whose caller died; then this caller computes it too
POLL_SECONDS = 0.02
MAX_COMPUTE_SECONDS = 3600  # upper bound for computing a value

Result = TypeVar("Result")

HIT, MISS, BYPASS = "hit", "miss", "bypass"
REQUESTS = Counter("cache_requests", "Cache lookups by result", ["cache", "result"])

# KEYS: the generation of the cache, the value, the lock of the caller that computes it. ARGV: the lock's milliseconds.
# Returns the generation, the value if there is one of this generation, and otherwise whether the caller got the lock.
SCRIPT = """
local stored = redis.call('MGET', KEYS[1], KEYS[2])
local generation = stored[1] or ''
local prefix = generation .. '\\n'
if stored[2] and string.sub(stored[2], 1, #prefix) == prefix then
  return {generation, string.sub(stored[2], #prefix + 1), 0}
end
return {generation, false, redis.call('SET', KEYS[3], 1, 'NX', 'PX', ARGV[1]) and 1 or 0}
"""


@dataclass(frozen=True)
class Lookup:
    """The result of a lookup: `HIT` with the value, `MISS`, or `BYPASS`: no Redis, or the value is too large."""

    result: str
    value: Any = None
    generation: bytes = b""
    lock_acquired: bool = False  # after a miss: this caller computes the value

    @property
    def pending(self) -> bool:
        """Whether another caller computes the value."""
        return self.result == MISS and not self.lock_acquired


class _Pending(Exception):
    """Another caller computes the value."""


class RedisBackend:
    """The Redis commands of caches; every method raises `RedisError` if Redis does not answer."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix
        self._script = redis.register_script(SCRIPT)

    def get(self, name: str, key: str) -> Lookup:
        """Look a value up; after a miss, the first caller acquires the lock."""
        generation, text, lock_acquired = self._script(self._keys(name, key), [int(WAIT_SECONDS * 1000)])
        if text is None:
            return Lookup(MISS, generation=generation, lock_acquired=bool(lock_acquired))
        return _parse(text, generation)

    def wait(self, name: str, key: str) -> Lookup:
        """Like `get`, but wait up to `WAIT_SECONDS` while another caller computes the value."""
        lookup = self.get(name, key)
        if not lookup.pending:
            return lookup  # before a retry context is created: hits are frequent
        with suppress(_Pending):
            for attempt in attempts(_Pending, timeout=WAIT_SECONDS, first_pause=POLL_SECONDS, max_pause=POLL_SECONDS):
                with attempt:
                    lookup = self.get(name, key)
                    if lookup.pending:
                        raise _Pending
        return lookup

    def set(self, name: str, key: str, text: bytes, lookup: Lookup, seconds: int) -> None:
        """Store a text in the generation of the lookup, and release the lock; an empty text means: too large."""
        _, value, lock = self._keys(name, key)
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(value, lookup.generation + b"\n" + text, ex=seconds)
            pipeline.delete(lock)
            pipeline.execute()

    def release(self, name: str, key: str) -> None:
        """Release the lock, so that another caller computes the value."""
        self._redis.delete(self._keys(name, key)[2])

    def invalidate(self, name: str, seconds: int) -> None:
        """Start a new generation: values stored before, or being computed now, are no longer returned."""
        self._redis.set(self._keys(name, "")[0], secrets.token_hex(8), ex=seconds + MAX_COMPUTE_SECONDS)

    def _keys(self, name: str, key: str) -> list[str]:
        start = f"{self._prefix}:cache:{name}"
        return [f"{start}:generation", f"{start}:value:{key}", f"{start}:lock:{key}"]


@dataclass(frozen=True)
class CacheConnection:
    """The backend of an app's caches (None without Redis) and its circuit breaker."""

    backend: RedisBackend | None
    breaker: CircuitBreaker


class Cache:
    """Values of one kind under one name, each for `seconds` (default `CACHE_DEFAULT_TTL`).

    Values of more than `max_bytes` are computed for every caller.
    """

    def __init__(self, name: str, *, seconds: int | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._name, self._seconds, self._max_bytes = name, seconds, max_bytes
        for result in (HIT, MISS, BYPASS):  # create the counters: `rate()` would miss the first of each
            REQUESTS.labels(name, result)

    def get_or_compute(self, key: object, compute: Callable[[], Any]) -> Any:
        """Return the value of a key, cached or computed now; it has JSON types only: no tuples, times or integer keys.

        Keys have JSON types too, or a distinct `repr`. If `compute` takes longer than `WAIT_SECONDS`, several callers
        run it. Its exceptions propagate, and nothing is stored.
        """
        digest = _digest(key)
        lookup = _call_backend(lambda backend: backend.wait(self._name, digest)) or Lookup(BYPASS)
        REQUESTS.labels(self._name, lookup.result).inc()
        if lookup.result == HIT:
            return lookup.value
        text = self._compute(digest, lookup, compute) if lookup.result == MISS else _dump(compute())
        return json.loads(text)  # the same types as a cached value

    def invalidate(self) -> None:
        """Drop all values; while Redis does not answer, they expire by their age alone."""
        _call_backend(lambda backend: backend.invalidate(self._name, self._ttl()))

    def _compute(self, digest: str, lookup: Lookup, compute: Callable[[], Any]) -> bytes:
        try:
            text = _dump(compute())
        except BaseException:
            _call_backend(lambda backend: backend.release(self._name, digest))
            raise
        stored = text if len(text) <= self._max_bytes else b""
        _call_backend(lambda backend: backend.set(self._name, digest, stored, lookup, self._ttl()))
        return text

    def _ttl(self) -> int:
        return self._seconds or settings_of(current_app).CACHE_DEFAULT_TTL


class UserCaches(list[Cache]):
    """The caches of one app that show users to others."""


def register_user_caches(app: Flask, caches: Iterable[Cache]) -> None:
    """Register caches that show users to others."""
    platform_of(app).get_or_create(UserCaches).extend(caches)


def invalidate_user_caches() -> None:
    """Drop what caches show of users; call it after the commit that hides a user, or shows one again."""
    for cache in platform_of(current_app).get_or_create(UserCaches):
        cache.invalidate()


def init_app(app: Flask) -> None:
    """Connect the app's caches to Redis, where one is configured; no connection is opened yet."""
    settings = settings_of(app)
    url = settings.CACHE_REDIS_URL or settings.REDIS_URL
    backend = RedisBackend(create_client(settings, url, decode_responses=False), settings.SERVICE_NAME) if url else None
    shares_redis = url == settings.REDIS_URL
    breaker = redis_breaker_of(app) if shares_redis else CircuitBreaker(COOLDOWN_SECONDS)
    platform_of(app).add(CacheConnection(backend, breaker))


def hit_ratios(families: Iterable[Metric]) -> Metric:
    """Return the share of hits among all lookups since the start, by cache, from the counters of all processes."""
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    for sample in (sample for family in families if family.name == "cache_requests" for sample in family.samples):
        if sample.name == "cache_requests_total":
            counts[sample.labels["cache"]][sample.labels["result"]] = sample.value
    ratios = GaugeMetricFamily("cache_hit_ratio", "Share of hits among all cache lookups", labels=["cache"])
    for name, results in counts.items():
        if total := sum(results.values()):
            ratios.add_metric([name], results.get(HIT, 0) / total)
    return ratios


def _call_backend(command: Callable[[RedisBackend], Result]) -> Result | None:
    """Return the result of a command; None if Redis is not configured, does not answer, or failed a moment ago."""
    connection = platform_of(current_app).get(CacheConnection)
    if connection.backend is None or not connection.breaker.allows_request():
        return None
    try:
        return command(connection.backend)
    except RedisError as error:
        connection.breaker.record_failure()
        logger.warning("Redis does not answer; nothing is cached: %s", error)
        return None


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=repr).encode()).hexdigest()


def _dump(value: object) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _parse(text: bytes, generation: bytes) -> Lookup:
    """Parse a stored text; corrupt entries count as misses."""
    try:
        return Lookup(HIT, json.loads(text)) if text else Lookup(BYPASS)
    except ValueError:
        return Lookup(MISS, generation=generation, lock_acquired=True)
