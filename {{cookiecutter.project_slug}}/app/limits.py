"""Rate limits: at most so many requests in any period, per user, or per address where nobody is signed in.

Redis keeps the times of the requests of the last period (about ten bytes each), so that every process and replica
counts together; one script in one round trip decides, counts, and says what is left, and whether the session of
whoever is signed in has ended: a second round trip would cost each request 130 µs. While Redis does not answer, each
process counts for itself in the same way: limits then loosen by the number of processes, and never vanish.
`rate_limit_fallback_total` counts the requests that were judged so.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from threading import Lock
from typing import Any, Protocol, TypeVar

from cachetools import LRUCache
from flask import Flask, Response, current_app, request
from prometheus_client import Counter
from redis import Redis, RedisError

from app.errors import Problem
from app.framework import asked, kept
from app.redis_client import Rest, redis_of, rest_of
from app.security import sessions
from app.security.access import claimed_caller, known_caller
from app.security.tokens import Caller
from app.settings import Settings, settings_of

logger = logging.getLogger(__name__)

PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
FALLBACK_SUBJECTS = 50_000

REFUSED = Counter("rate_limit_refused_total", "Requests refused for their rate", ["limit"])
FALLBACK = Counter("rate_limit_fallback_total", "Requests counted in the process because Redis did not answer")

# KEYS: the list of times, oldest first, and if wanted a key that forbids to count. ARGV: the count and the period in
# milliseconds. Answers nothing where that key is there, and else whether the request fits (and has been counted), how
# many more do, and the milliseconds until the next slot.
SCRIPT = """
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then
  return false
end
local key, count, period = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local oldest = redis.call('LINDEX', key, 0)
while oldest and now - oldest >= period do
  redis.call('LPOP', key)
  oldest = redis.call('LINDEX', key, 0)
end
local used = redis.call('LLEN', key)
if used >= count then
  return {0, 0, period - (now - redis.call('LINDEX', key, used - count))}
end
redis.call('RPUSH', key, now)
redis.call('PEXPIRE', key, period)
return {1, count - used - 1, period - (now - (oldest or now))}
"""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Limit:
    """So many requests in so many seconds, under a name."""

    name: str
    count: int
    period: int  # seconds


@dataclass(frozen=True)
class Verdict:
    """Whether a request may go on, how many more may after it, and the seconds until another slot is free."""

    allowed: bool
    remaining: int
    reset: int
    shared: bool = False  # whether Redis gave it


class Forbidden(Exception):
    """Nothing was counted, as the key is there that forbids it."""


class Window(Protocol):
    """Counts the requests of subjects."""

    def hit(self, limit: Limit, subject: str, unless: str = "") -> Verdict:
        """Count a request, if it fits; raises `Forbidden`, where that can be told, if the key `unless` is there."""


class SharedWindow:
    """Times kept in Redis, by Redis's clock; raises `RedisError` where it does not answer."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._script = redis.register_script(SCRIPT)
        self._prefix = prefix

    def hit(self, limit: Limit, subject: str, unless: str = "") -> Verdict:
        """Count a request, if it fits; raises `Forbidden` if the key `unless` is there."""
        key = f"{self._prefix}:limit:{limit.name}:{subject}"
        answer = self._script([key, unless] if unless else [key], [limit.count, limit.period * 1000])
        if answer is None:
            raise Forbidden
        allowed, remaining, wait = answer
        return Verdict(bool(allowed), int(remaining), ceil(int(wait) / 1000), shared=True)


class LocalWindow:
    """Times kept in this process."""

    def __init__(self) -> None:
        self._times: LRUCache[str, deque[float]] = LRUCache(FALLBACK_SUBJECTS)
        self._lock = Lock()

    def hit(self, limit: Limit, subject: str, unless: str = "") -> Verdict:
        """Count a request, if it fits; what is in Redis is not known here."""
        del unless
        now = time.monotonic()
        with self._lock:
            times: deque[float] = self._times.setdefault(f"{limit.name}:{subject}", deque())
            while times and now - times[0] >= limit.period:
                times.popleft()
            if len(times) >= limit.count:
                return Verdict(False, 0, ceil(limit.period - (now - times[len(times) - limit.count])))
            times.append(now)
            return Verdict(True, limit.count - len(times), ceil(limit.period - (now - times[0])))

    def forget(self) -> None:
        """Start anew."""
        with self._lock:
            self._times.clear()


class FallbackWindow:
    """The shared window while Redis answers, and the local one while it does not."""

    def __init__(self, shared: Window, local: Window, rest: Rest) -> None:
        self._shared, self._local, self._rest = shared, local, rest

    def hit(self, limit: Limit, subject: str, unless: str = "") -> Verdict:
        """Count a request, if it fits; raises `Forbidden` if Redis answers and the key `unless` is there."""
        if self._rest.is_over():
            try:
                return self._shared.hit(limit, subject, unless)
            except RedisError as error:
                self._rest.begin()
                logger.warning("Redis does not answer; rate limits are counted per process: %s", error)
        FALLBACK.inc()
        return self._local.hit(limit, subject)


def limit(setting: str) -> Callable[[View], View]:
    """Hold a route to the limit that the setting of this name gives."""

    def mark(view: View) -> View:
        view.rate_limit = setting  # type: ignore[attr-defined]
        return view

    return mark


def unlimited(reason: str) -> Callable[[View], View]:
    """Exempt a route, because of `reason`."""

    def mark(view: View) -> View:
        view.rate_limit = None  # type: ignore[attr-defined]
        view.unlimited_reason = reason  # type: ignore[attr-defined]
        return view

    return mark


def init_app(app: Flask) -> None:
    """Judge every request before its view runs, and tell the caller what is left."""
    settings = settings_of(app)
    redis = redis_of(app)
    local = LocalWindow()
    app.extensions["rate_limits"] = _limits(settings)
    app.extensions["rate_window"] = (
        FallbackWindow(SharedWindow(redis, settings.SERVICE_NAME), local, rest_of(app)) if redis else local
    )
    if settings.RATELIMIT_ENABLED:
        app.before_request(partial(_judge, app))
        app.after_request(_tell)


def _limits(settings: Settings) -> dict[str, Limit]:
    """Every limit by the name of its setting."""
    names = [name for name in vars(settings) if name.startswith("RATELIMIT_") and name != "RATELIMIT_ENABLED"]
    return {name: _parse(name, getattr(settings, name)) for name in names}


def _parse(name: str, value: str) -> Limit:
    count, _, period = value.partition("/")
    return Limit(name.removeprefix("RATELIMIT_").lower(), int(count), PERIODS[period])


def _judge(app: Flask) -> None:
    it = asked()
    if it.routing_exception is not None or it.method == "OPTIONS":
        return
    setting = getattr(app.view_functions[it.endpoint or ""], "rate_limit", "RATELIMIT_DEFAULT")
    if setting is None:
        return
    limit: Limit = app.extensions["rate_limits"][setting]
    verdict = _hit(limit)
    kept().rate_limit = (limit, verdict)
    if not verdict.allowed:
        REFUSED.labels(limit.name).inc()
        message = (
            f"Too many requests: {limit.count} in {limit.period} seconds are allowed. Try again in {verdict.reset} s."
        )
        raise Problem(429, message, headers={"Retry-After": str(verdict.reset)})


def _hit(limit: Limit) -> Verdict:
    """Count the request for its user, or where nobody is signed in for its address."""
    window: Window = current_app.extensions["rate_window"]
    claim = claimed_caller()
    if claim:
        verdict = _hit_for(claim, window, limit)
        if verdict and known_caller():
            return verdict
    return window.hit(limit, f"address:{_network(request.remote_addr or '')}")


def _hit_for(claim: Caller, window: Window, limit: Limit) -> Verdict | None:
    """Count the request for a user; None if Redis says that the session has ended, which nobody needs to ask again."""
    session = claim.session_id
    try:
        verdict = window.hit(limit, f"user:{claim.user_id}", sessions.ended_key(session) if session else "")
    except Forbidden:
        verdict = None
    if session and (verdict is None or verdict.shared):
        sessions.note(session, ended=verdict is None)
    return verdict


def _network(address: str) -> str:
    """The address, or for IPv6 its /64, since a single subscriber owns all of that."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed if parsed.version == 4 else ipaddress.ip_network((parsed, 64), strict=False))  # noqa: PLR2004


def _tell(response: Response) -> Response:
    if judged := kept().get("rate_limit"):
        limit, verdict = judged
        response.headers["RateLimit-Limit"] = str(limit.count)
        response.headers["RateLimit-Remaining"] = str(verdict.remaining)
        response.headers["RateLimit-Reset"] = str(verdict.reset)
    return response
