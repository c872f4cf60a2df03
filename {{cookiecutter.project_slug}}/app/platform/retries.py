"""The retry policy of the service: exponential backoff with jitter until a time limit, by stamina.

A test rejects retry loops that are written by hand.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from time import monotonic

import stamina
from stamina.instrumentation import set_on_retry_hooks

# The callers log what they wait for. stamina would log a warning and create a metric for each attempt.
set_on_retry_hooks(())


def attempts(
    on: type[Exception], *, timeout: float, first_pause: float, max_pause: float, jitter: float = 0.0
) -> Iterable[stamina.Attempt]:
    """Yield context managers for the attempts at one operation; all times are in seconds.

    If the `with` block raises `on`, another attempt follows after a pause; after `timeout`, `on` is raised. Every
    other exception is raised immediately. The first pause is `first_pause`, each next one twice as long, at most
    `max_pause`; each gets a random extra of up to `jitter`. The last pause ends at the time
    limit, with the last attempt. Create the attempts when they are needed: that takes 15 µs and starts the time limit.
    """
    backoff = _Backoff(on, monotonic() + timeout, first_pause, max_pause, jitter)
    return stamina.retry_context(on=backoff, attempts=None, timeout=None)


class _Backoff:
    """Returns the pause after an error, or False if no attempt follows.

    stamina compares its own `timeout` with the time before a pause: the last attempt would start up to a pause later.
    """

    def __init__(
        self, on: type[Exception], deadline: float, first_pause: float, max_pause: float, jitter: float
    ) -> None:
        self._on, self._deadline = on, deadline
        self._pause, self._max_pause, self._jitter = first_pause, max_pause, jitter

    def __call__(self, error: Exception) -> float | bool:
        if not isinstance(error, self._on):
            return False
        jitter = random.uniform(0, self._jitter)  # noqa: S311 - spreads attempts, protects nothing
        pause = min(self._pause + jitter, self._max_pause)
        self._pause = min(self._pause * 2, self._max_pause)
        remaining = self._deadline - monotonic()
        return min(pause, remaining) if remaining > 0 else False
