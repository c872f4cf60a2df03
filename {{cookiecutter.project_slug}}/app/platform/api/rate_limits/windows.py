"""Moving windows: the times of the counted requests of the last period, in Redis or in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from math import ceil
from threading import Lock
from typing import cast

from cachetools import LRUCache
from redis import Redis

from app.platform.web.request_state import RateLimitResult

MAX_LOCAL_KEYS = 50_000

# KEYS: a list of times for each window, oldest first; optionally the key of a revoked session, at the end. ARGV: the
# period in milliseconds, then the limit of each window. Returns nil if the session is revoked, else whether the request
# was counted, how many more fit into the first window, and the milliseconds until the next slot is free.
SCRIPT = """
local period, windows = tonumber(ARGV[1]), #ARGV - 1
if KEYS[windows + 1] and redis.call('EXISTS', KEYS[windows + 1]) == 1 then
  return false
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local reply
for window = 1, windows do
  local key, count = KEYS[window], tonumber(ARGV[window + 1])
  local oldest = redis.call('LINDEX', key, 0)
  while oldest and now - oldest >= period do
    redis.call('LPOP', key)
    oldest = redis.call('LINDEX', key, 0)
  end
  local used = redis.call('LLEN', key)
  if used >= count then
    return {0, 0, period - (now - redis.call('LINDEX', key, used - count))}
  end
  reply = reply or {1, count - used - 1, period - (now - (oldest or now))}
end
for window = 1, windows do
  redis.call('RPUSH', KEYS[window], now)
  redis.call('PEXPIRE', KEYS[window], period)
end
return reply
"""

Windows = Sequence[tuple[str, int]]  # keys and limits: a request must fit into all of them


class SessionRevoked(Exception):
    """The session is revoked; the request was not counted."""


class SharedWindow:
    """Times in Redis, by Redis's clock, shared by all processes and replicas: about ten bytes per request.

    Every method raises `RedisError` if Redis does not answer.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix
        self._script = redis.register_script(SCRIPT)

    def hit(self, key: str, limit: int, period: int, revoked_key: str = "", *, wider: Windows = ()) -> RateLimitResult:
        """Count a request if it fits, also into the `wider` windows; raises `SessionRevoked` if `revoked_key` exists.

        One round trip.
        """
        keys, arguments = [f"{self._prefix}:limit:{key}"], [period * 1000, limit]
        for wider_key, wider_limit in wider:
            keys.append(f"{self._prefix}:limit:{wider_key}")
            arguments.append(wider_limit)
        reply = self._script([*keys, revoked_key] if revoked_key else keys, arguments)
        if reply is None:
            raise SessionRevoked
        allowed, remaining, wait = reply
        return RateLimitResult(bool(allowed), int(remaining), ceil(int(wait) / 1000), limit, shared=True)

    def ages(self, key: str, period: int) -> list[float]:
        """Return the seconds since each counted request, the oldest first."""
        times = cast(list[str], self._redis.lrange(f"{self._prefix}:limit:{key}", 0, -1))
        seconds, microseconds = self._redis.time()
        ages = [seconds + microseconds / 1e6 - int(value) / 1000 for value in times]
        return [age for age in ages if age < period]

    def clear(self, key: str) -> None:
        """Delete the counted requests of a key."""
        self._redis.delete(f"{self._prefix}:limit:{key}")

    def reset(self) -> None:
        """Delete all counted requests."""
        for name in self._redis.scan_iter(f"{self._prefix}:limit:*"):
            self._redis.delete(name)


class LocalWindow:
    """Times in this process, of the `MAX_LOCAL_KEYS` most recently used keys.

    Thread-safe, unlike `MemoryStorage` of limits 5.8.
    """

    def __init__(self) -> None:
        self._times: LRUCache[str, deque[float]] = LRUCache(MAX_LOCAL_KEYS)
        self._lock = Lock()

    def hit(self, key: str, limit: int, period: int, *, wider: Windows = ()) -> RateLimitResult:
        """Count a request if it fits, also into the `wider` windows."""
        now = time.monotonic()
        with self._lock:
            windows = [(self._recent(name, now - period), count) for name, count in ((key, limit), *wider)]
            for times, count in windows:
                if len(times) >= count:
                    return RateLimitResult(False, 0, ceil(period - (now - times[len(times) - count])), limit)
            for times, _ in windows:
                times.append(now)
            first = windows[0][0]
            return RateLimitResult(True, limit - len(first), ceil(period - (now - first[0])), limit)

    def _recent(self, key: str, start: float) -> deque[float]:
        times: deque[float] = self._times.setdefault(key, deque())
        while times and times[0] <= start:
            times.popleft()
        return times

    def ages(self, key: str, period: int) -> list[float]:
        """Return the seconds since each counted request, the oldest first."""
        now = time.monotonic()
        with self._lock:
            return [now - value for value in self._times.get(key, ()) if now - value < period]

    def clear(self, key: str) -> None:
        """Delete the counted requests of a key."""
        with self._lock:
            self._times.pop(key, None)

    def reset(self) -> None:
        """Delete all counted requests."""
        with self._lock:
            self._times.clear()
