"""Growing waits after failed attempts to sign in, per account.

An attacker must not be able to lock the owner out. So the attempts from each network that has signed in to the account
before count by themselves; those from all other networks count together.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar, cast

from cachetools import LRUCache
from flask import Flask, current_app
from redis import Redis, RedisError

from app.platform.circuit_breaker import CircuitBreaker
from app.platform.components import platform_of
from app.platform.redis.client import redis_breaker_of, redis_of
from app.platform.settings.declarations import settings_of

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 15  # doubles with each further failure
FORGET_SECONDS = 3600  # after the last attempt, while there is no wait yet: unknown accounts cost little memory
FORGET_WAIT_SECONDS = 86_400  # after the last attempt, once there was a wait
TRUST_SECONDS = 30 * 86_400  # how long a network stays known to an account
MAX_LOCAL_KEYS = 10_000

Result = TypeVar("Result")

# KEYS: the mark of a known network; the failures of this network; the failures of all unknown networks. ARGV: how many
# failures cost no wait, the longest wait in seconds, and the three constants above. Returns the seconds to wait, and
# whether the network is known. Without a wait, it counts the attempt as failed, so that concurrent attempts cannot pass
# together.
START_SCRIPT = """
local known = redis.call('EXISTS', KEYS[1])
local key = known == 1 and KEYS[2] or KEYS[3]
local free, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = tonumber(redis.call('TIME')[1])
local wait = tonumber(redis.call('HGET', key, 'until') or 0) - now
if wait > 0 then
  return {wait, known}
end
local failures = redis.call('HINCRBY', key, 'failures', 1)
if failures < free then
  redis.call('EXPIRE', key, ARGV[4])
else
  redis.call('HSET', key, 'until', now + math.min(longest, ARGV[3] * 2 ^ math.min(failures - free, 30)))
  redis.call('EXPIRE', key, ARGV[5])
end
return {0, known}
"""

# KEYS: as above. ARGV: whether the network was known, how many failures cost no wait, and how long the network becomes
# known, in seconds (0: not at all). Takes back the attempt that was counted as failed; without a success, also the wait
# that it caused: its user may have to repeat it. Failures of others remain.
TAKE_BACK_SCRIPT = """
local known, trust = ARGV[1] == '1', tonumber(ARGV[3])
local key = known and KEYS[2] or KEYS[3]
if known and trust > 0 then
  redis.call('DEL', key)
elseif redis.call('EXISTS', key) == 1 then
  if redis.call('HINCRBY', key, 'failures', -1) < tonumber(ARGV[2]) or trust == 0 then
    redis.call('HDEL', key, 'until')
  end
end
if trust > 0 then
  redis.call('SET', KEYS[1], 1, 'EX', trust)
end
"""


@dataclass(frozen=True)
class Rule:
    """How many failed attempts cost no wait, and the longest wait in seconds."""

    free: int
    longest: int


@dataclass(frozen=True)
class Started:
    """The seconds to wait before the attempt (0: it may go on), and whether its network is known to the account."""

    wait: int
    known: bool


@dataclass(frozen=True)
class Attempt:
    """An attempt to sign in to an account from a network; the names of its keys contain no personal data."""

    account: str
    network: str

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the known network, of its failures, and of the failures of all unknown networks."""
        account = f"{prefix}:backoff:{_digest(self.account)}"
        network = f"{account}:{_digest(self.network)}"
        return [f"{network}:known", network, account]


class SharedBackoff:
    """Counts in Redis, for all processes and replicas; every method raises `RedisError` if Redis does not answer."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix
        self._start = redis.register_script(START_SCRIPT)
        self._take_back = redis.register_script(TAKE_BACK_SCRIPT)

    def start(self, attempt: Attempt, rule: Rule) -> Started:
        """Count an attempt as failed, unless it has to wait."""
        arguments = [rule.free, rule.longest, FIRST_WAIT_SECONDS, FORGET_SECONDS, FORGET_WAIT_SECONDS]
        wait, known = cast(Any, self._start(attempt.keys(self._prefix), arguments))
        return Started(int(wait), bool(known))

    def take_back(self, attempt: Attempt, rule: Rule, *, known: bool, trust: bool) -> None:
        """Do not count the attempt as failed; `trust`: it succeeded, which makes its network known."""
        self._take_back(attempt.keys(self._prefix), [int(known), rule.free, TRUST_SECONDS * trust])

    def trust(self, attempt: Attempt) -> None:
        """Make the network known to the account."""
        self._redis.set(attempt.keys(self._prefix)[0], 1, ex=TRUST_SECONDS)

    def reset(self, attempt: Attempt, *, own: bool = False) -> None:
        """Forget all failures that make this network wait, or only its `own`, and make it known."""
        mark, network, account = attempt.keys(self._prefix)
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.delete(*[network] if own else [network, account])
            pipeline.set(mark, 1, ex=TRUST_SECONDS)
            pipeline.execute()


@dataclass
class Failures:
    """The failed attempts of one key, and when the next one is allowed (monotonic seconds)."""

    count: int = 0
    last: float = 0.0
    until: float = 0.0


class LocalBackoff:
    """Counts in this process, for the `MAX_LOCAL_KEYS` most recently used keys."""

    def __init__(self) -> None:
        self._failures: LRUCache[str, Failures] = LRUCache(MAX_LOCAL_KEYS)
        self._known: LRUCache[str, bool] = LRUCache(MAX_LOCAL_KEYS)
        self._lock = Lock()

    def start(self, attempt: Attempt, rule: Rule) -> Started:
        """Count an attempt as failed, unless it has to wait."""
        now = time.monotonic()
        mark, network, account = attempt.keys("")
        with self._lock:
            known = mark in self._known
            failures = self._recent(network if known else account, now)
            if failures.until > now:
                return Started(int(failures.until - now) + 1, known)
            failures.count, failures.last = failures.count + 1, now
            if failures.count >= rule.free:
                failures.until = now + min(rule.longest, FIRST_WAIT_SECONDS * 2 ** min(failures.count - rule.free, 30))
            return Started(0, known)

    def take_back(self, attempt: Attempt, rule: Rule, *, known: bool, trust: bool) -> None:
        """Do not count the attempt as failed; `trust`: it succeeded, which makes its network known."""
        mark, network, account = attempt.keys("")
        with self._lock:
            failures = self._failures.get(network if known else account)
            if known and trust:
                self._failures.pop(network, None)
            elif failures:
                failures.count -= 1
                failures.until = failures.until if trust and failures.count >= rule.free else 0.0
            if trust:
                self._known[mark] = True

    def trust(self, attempt: Attempt) -> None:
        """Make the network known to the account."""
        with self._lock:
            self._known[attempt.keys("")[0]] = True

    def reset(self, attempt: Attempt, *, own: bool = False) -> None:
        """Forget all failures that make this network wait, or only its `own`, and make it known."""
        mark, network, account = attempt.keys("")
        with self._lock:
            for key in [network] if own else [network, account]:
                self._failures.pop(key, None)
            self._known[mark] = True

    def _recent(self, key: str, now: float) -> Failures:
        failures = self._failures.get(key)
        if failures is None or now - failures.last > (FORGET_WAIT_SECONDS if failures.until else FORGET_SECONDS):
            failures = self._failures[key] = Failures()
        return failures


class Backoff:
    """Counts in Redis; while Redis does not answer or is not configured, each process counts by itself."""

    def __init__(self, redis: Redis | None, breaker: CircuitBreaker, prefix: str) -> None:
        self._shared = SharedBackoff(redis, prefix) if redis else None
        self._local = LocalBackoff()
        self._breaker = breaker

    def start(self, attempt: Attempt, rule: Rule) -> Started:
        """Count an attempt as failed, unless it has to wait."""
        return self._call(lambda counter: counter.start(attempt, rule))

    def take_back(self, attempt: Attempt, rule: Rule, *, known: bool, trust: bool) -> None:
        """Do not count the attempt as failed; `trust`: it succeeded, which makes its network known to the account.

        `known`: whether the network was known when the attempt started.
        """
        self._call(lambda counter: counter.take_back(attempt, rule, known=known, trust=trust))

    def trust(self, attempt: Attempt) -> None:
        """Make the network known to the account: it has signed in."""
        self._call(lambda counter: counter.trust(attempt))

    def reset(self, attempt: Attempt, *, own: bool = False) -> None:
        """Forget all failures that make this network wait, and make it known: its user has proved who they are.

        `own`: forget only those from this network after it became known.
        """
        self._call(lambda counter: counter.reset(attempt, own=own))

    def _call(self, command: Callable[[SharedBackoff | LocalBackoff], Result]) -> Result:
        if self._shared is not None and self._breaker.allows_request():
            try:
                return command(self._shared)
            except RedisError as error:
                self._breaker.record_failure()
                logger.warning("Redis does not answer; failed attempts are counted per process: %s", error)
        return command(self._local)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def init_app(app: Flask) -> None:
    """Create the counter of failed attempts."""
    platform_of(app).add(Backoff(redis_of(app), redis_breaker_of(app), settings_of(app).SERVICE_NAME))


def backoff() -> Backoff:
    """Return the counter of the current app."""
    return platform_of(current_app).get(Backoff)
