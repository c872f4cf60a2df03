"""What was hoped for, and whether it was met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.pairs import Spread

AT_MOST = {
    "profile read: service / FastAPI": 1.0,
    "profile read: service / Django REST framework": 1.0,
    "profile read: service / bare Flask": 1.25,
    "profile read: service / floor": 4.0,
    "location write: service / FastAPI": 1.0,
    "location write: service / Django REST framework": 1.0,
    "empty answer: service / bare Flask": 1.5,
    "profile read: everything on / unseen": 1.05,
    "memory of a worker, MB unshared": 40.0,
    "start-up of service, seconds of CPU": 2.0,
}
AT_LEAST = {"batch of 1000: rows in a second, service / COPY": 0.4}
GROWTH = 1.5


@dataclass(frozen=True)
class Target:
    """A figure and its limit: ratios of the server's CPU time for a request, unless the name says otherwise."""

    name: str
    value: float
    quartiles: tuple[float, float]
    sense: str  # "at most" or "at least"
    limit: float

    @property
    def met(self) -> bool:
        """Whether the figure keeps to the limit."""
        return self.value <= self.limit if self.sense == "at most" else self.value >= self.limit


def targets(judged: Mapping[str, Spread], sizes: Sequence[int]) -> list[Target]:
    """Return every target with what was found."""
    growth = {f"active users: p95 at {sizes[-1]:,} rows / at {sizes[0]:,}": GROWTH}
    limits = [("at most", name, limit) for name, limit in (AT_MOST | growth).items()]
    limits += [("at least", name, limit) for name, limit in AT_LEAST.items()]
    return [
        Target(name, found.median, (found.low, found.high), sense, limit)
        for sense, name, limit in limits
        for found in [judged[name]]
    ]
