"""Targets: the limit of each figure, and whether a run met it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.paired_statistics import Quartiles

UPPER_LIMITS = {
    "profile read: service / FastAPI": 0.9,
    "profile read: service / Django REST framework": 1.0,
    "profile read: service / bare Flask": 1.12,
    "profile read: service / minimal WSGI": 4.0,
    "location write: service / FastAPI": 1.0,
    "location write: service / Django REST framework": 1.0,
    "health check: service / bare Flask": 1.5,
    "profile read: all features / without tracing and query profiler": 1.05,
    "memory per worker, MB (USS)": 40.0,
    "start-up, CPU seconds: service / bare Flask": 2.0,
}
LOWER_LIMITS = {"batch of 1000: rows per second, service / COPY": 0.4}
SCALING_LIMIT = 1.5


@dataclass(frozen=True)
class Target:
    """A figure and its limit; a figure is a ratio of server CPU time per request unless its name states otherwise."""

    name: str
    value: float
    quartiles: tuple[float, float]
    bound: str  # "at most" or "at least"
    limit: float

    @property
    def met(self) -> bool:
        """Whether the value is within the limit."""
        return self.value <= self.limit if self.bound == "at most" else self.value >= self.limit


def evaluate_targets(results: Mapping[str, Quartiles], table_sizes: Sequence[int]) -> list[Target]:
    """Return every target with its measured value."""
    scaling = {f"active users: p95 at {table_sizes[-1]:,} rows / at {table_sizes[0]:,}": SCALING_LIMIT}
    limits = [("at most", name, limit) for name, limit in (UPPER_LIMITS | scaling).items()]
    limits += [("at least", name, limit) for name, limit in LOWER_LIMITS.items()]
    return [
        Target(name, value.median, (value.low, value.high), bound, limit)
        for bound, name, limit in limits
        for value in [results[name]]
    ]
