"""Stops calling a dependency that just failed, so that one request waits for its timeout and not all of them."""

from __future__ import annotations

import time


class CircuitBreaker:
    """Open for `cooldown` seconds after a failure; closed again afterwards.

    With `trial` seconds, only the first caller after the cooldown may try; the breaker rejects all others until that
    caller reports its result, at most for `trial` seconds. Without it, all callers may try.
    """

    def __init__(self, cooldown: float, *, trial: float = 0.0) -> None:
        self._cooldown, self._trial = cooldown, trial
        self._open_until = 0.0  # monotonic seconds; 0 when closed

    @property
    def closed(self) -> bool:
        """Whether the latest call succeeded, or nothing failed yet."""
        return not self._open_until

    def allows_request(self) -> bool:
        """Whether the dependency may be called now."""
        if not self._open_until:
            return True
        now = time.monotonic()
        if now < self._open_until:
            return False
        self._open_until = now + self._trial if self._trial else 0.0
        return True

    def record_failure(self) -> None:
        """Open the breaker for the cooldown."""
        self._open_until = time.monotonic() + self._cooldown

    def record_success(self) -> None:
        """Close the breaker."""
        self._open_until = 0.0
