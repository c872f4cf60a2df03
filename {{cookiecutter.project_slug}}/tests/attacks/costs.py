"""The CPU time of requests, and what a rejected one may cost."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 5
MAX_RESPONSE_BYTES = 8 * 1024
# CPU times on a busy machine vary by a half; a missing bound makes a body ten times as expensive or more.
TOLERANCE = 2


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Return the CPU time of the fastest of some calls."""
    seconds = []
    gc.disable()
    try:
        for _ in range(ROUNDS):
            started = time.process_time()
            call()
            seconds.append(time.process_time() - started)
    finally:
        gc.enable()
    return min(seconds)
