"""Flask-Limiter's storage: Redis; while it does not answer, each process counts by itself.

The effective limits are then higher by a factor of the number of processes. `rate_limit_fallback_total` counts these
requests.
"""

from __future__ import annotations

import logging
import time
from math import ceil

from limits.storage import MovingWindowSupport, Storage
from prometheus_client import Counter
from redis import Redis, RedisError

from app.platform.api.rate_limits.windows import LocalWindow, SessionRevoked, SharedWindow, Windows
from app.platform.circuit_breaker import CircuitBreaker
from app.platform.security import sessions
from app.platform.web.client_address import networks
from app.platform.web.request_state import RateLimitResult, request_state

logger = logging.getLogger(__name__)

SCHEMES = ["redis-with-fallback"]  # of the storage URI
ADDRESS = "address:"  # in the key of a request that counts for its client address

FALLBACK = Counter("rate_limit_fallback_total", "Requests counted in the process because Redis did not answer")


class RateLimitStorage(Storage, MovingWindowSupport):
    """Counts requests for the strategy `moving-window`; needs a request context.

    One script checks and counts the request, returns the remaining requests, and checks whether the caller's session is
    revoked. A second round trip would cost each request 130 µs.
    """

    STORAGE_SCHEME = SCHEMES

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        redis: Redis | None,
        breaker: CircuitBreaker,
        prefix: str,
    ) -> None:
        super().__init__(uri, wrap_exceptions)
        self.storage = redis  # `flask limiter config` prints it
        self._shared = SharedWindow(redis, prefix) if redis else None
        self._local = LocalWindow()
        self._breaker = breaker

    @property
    def base_exceptions(self) -> type[Exception]:
        """The exception that the storage may raise."""
        return RedisError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a request if it fits, and keep the result in the request state; `expiry` is the period in seconds.

        Also returns False for a revoked session, and stores that result with `sessions.remember_result`. `amount` is
        ignored: a request counts as one.
        """
        del amount
        session = _unverified_session()
        result: RateLimitResult | None
        try:
            result = self._hit(_windows(key, limit), expiry, sessions.revoked_key(session) if session else "")
        except SessionRevoked:
            result = None
        if session and (result is None or result.shared):
            sessions.remember_result(session, revoked=result is None)
        request_state().rate_limit = result
        return result is not None and result.allowed

    def _hit(self, windows: Windows, period: int, revoked_key: str) -> RateLimitResult:
        (key, limit), *wider = windows
        if self._shared is None:
            return self._local.hit(key, limit, period, wider=wider)
        if self._breaker.allows_request():
            try:
                return self._shared.hit(key, limit, period, revoked_key, wider=wider)
            except RedisError as error:
                self._breaker.record_failure()
                logger.warning("Redis does not answer; rate limits are counted per process: %s", error)
        FALLBACK.inc()
        return self._local.hit(key, limit, period, wider=wider)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the start of the window (Unix time) and the number of counted requests.

        Uses the result of this request's check; reads the storage if there was none (`flask limiter limits --key`).
        """
        now = time.time()
        if result := request_state().rate_limit:
            return now + result.reset - expiry, result.limit - result.remaining
        ages = self._window.ages(_windows(key, limit)[0][0], expiry)
        return now - (ages[0] if ages else 0), len(ages)

    def seconds_until_free(self, key: str, limit: int, expiry: int) -> int:
        """Return the seconds until a request fits, without counting one; 0 if it fits now."""
        for name, count in _windows(key, limit):
            ages = self._ages(name, expiry)
            if len(ages) >= count:
                return ceil(expiry - ages[len(ages) - count])
        return 0

    def _ages(self, name: str, expiry: int) -> list[float]:
        if self._shared is not None and self._breaker.allows_request():
            try:
                return self._shared.ages(name, expiry)
            except RedisError:
                self._breaker.record_failure()
        return self._local.ages(name, expiry)

    @property
    def _window(self) -> SharedWindow | LocalWindow:
        return self._shared or self._local

    def check(self) -> bool:
        """Whether Redis answers, if it is configured."""
        try:
            return self.storage is None or bool(self.storage.ping())
        except RedisError:
            return False

    def clear(self, key: str) -> None:
        """Delete the counted requests of a key; of an address, also those of its networks."""
        for name, _ in _windows(key, 1):
            self._window.clear(name)

    def reset(self) -> None:
        """Delete all counted requests."""
        self._window.reset()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not supported: fixed windows only."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Not supported: fixed windows only."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Not supported: fixed windows only."""
        raise NotImplementedError


def _unverified_session() -> int | None:
    """Return the id of the caller's session, or None if it was checked already or there is none."""
    state = request_state()
    caller = None if state.caller_verified else state.unverified_caller
    return caller.session_id if caller else None


def _windows(key: str, limit: int) -> list[tuple[str, int]]:
    """Return the windows that a key of `limits` counts in, with their limits: an address counts for its networks too.

    `/count/multiple/period` is removed, so that a changed setting does not start a new count.
    """
    name = key.rsplit("/", 3)[0]
    scope, is_address, rest = name.partition(ADDRESS)
    if not is_address:
        return [(name, limit)]
    address, _, route_limit = rest.partition("/")
    return [(f"{scope}{ADDRESS}{network}/{route_limit}", limit * factor) for network, factor in networks(address)]
