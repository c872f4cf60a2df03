"""What budgets are tried with: how fast they burn, for how long, and who is to hear of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HOUR, DAY = 60, 1440  # minutes

Rate = float  # events a minute


@dataclass(frozen=True)
class Phase:
    """So many minutes, in which the budget burns so many times as fast as it may."""

    minutes: int
    burn: float
    requests: Rate = 1000


@dataclass(frozen=True)
class Burning:
    """Phases after one another, and which alerts they come to at the end.

    `breaches` in all, where there are few requests; `limited` requests a minute are refused for their rate.
    """

    name: str
    phases: Sequence[Phase]
    fast: bool = False
    slow: bool = False
    breaches: float | None = None
    limited: Rate = 0

    @property
    def minutes(self) -> int:
        return sum(phase.minutes for phase in self.phases)

    def series(self, counter: str, budget: float) -> dict[str, str]:
        """What Prometheus has scraped in the end, in promtool's notation."""
        route = 'job="service", instance="web:8000", endpoint="/route", method="GET"'
        asked = [phase.requests * self._scale(budget) for phase in self.phases]
        broken = [rate * phase.burn * budget for rate, phase in zip(asked, self.phases, strict=True)]
        limited = [self.limited for _ in self.phases]
        return {
            "http_requests_total{" + route + ', status="200"}': self._counter(asked),
            "http_requests_total{" + route + ', status="429"}': self._counter(limited),
            counter + "{" + route + "}": self._counter(broken),
        }

    def _scale(self, budget: float) -> float:
        if self.breaches is None:
            return 1
        return self.breaches / sum(phase.minutes * phase.requests * phase.burn * budget for phase in self.phases)

    def _counter(self, rates: Sequence[Rate]) -> str:
        return " ".join(self._rises(rates))

    def _rises(self, rates: Sequence[Rate]) -> Iterator[str]:
        total = 0.0
        yield "0"
        for phase, rate in zip(self.phases, rates, strict=True):
            yield f"{total + rate:.6f}+{rate:.6f}x{phase.minutes - 1}"
            total += rate * phase.minutes


QUIET_DAY, QUIET_DAYS = Phase(DAY, 0), Phase(3 * DAY, 0)
BURNINGS = (
    Burning("an hour at 16", [QUIET_DAY, Phase(HOUR, 16)], fast=True),
    Burning("an hour at 13", [QUIET_DAY, Phase(HOUR, 13)]),
    Burning("an hour at 20, ten minutes ago", [QUIET_DAY, Phase(HOUR, 20), Phase(10, 0)]),
    Burning("six hours at 7", [QUIET_DAYS, Phase(6 * HOUR, 7)], fast=True),
    Burning("six hours at 5", [QUIET_DAYS, Phase(6 * HOUR, 5)]),
    Burning("six hours at 9, an hour ago", [QUIET_DAYS, Phase(6 * HOUR, 9), Phase(HOUR, 0)]),
    Burning("a day at 4 after busy days", [Phase(2 * DAY, 0, requests=10_000), Phase(DAY, 4)], slow=True),
    Burning("a day at 2 after busy days", [Phase(2 * DAY, 0, requests=10_000), Phase(DAY, 2)]),
    Burning("three days at 1.2", [Phase(3 * DAY, 1.2)], slow=True),
    Burning("three days at 0.9", [Phase(3 * DAY, 0.9)]),
    Burning("three days at 1.2, seven hours ago", [Phase(3 * DAY, 1.2), Phase(7 * HOUR, 0)]),
    Burning("an hour at 16 in which few asked", [QUIET_DAY, Phase(HOUR, 16)], fast=True, breaches=6),
    Burning("an hour at 16 in which hardly anybody asked", [QUIET_DAY, Phase(HOUR, 16)], breaches=4),
    Burning("an hour at 16 among refusals", [QUIET_DAY, Phase(HOUR, 16)], fast=True, limited=100_000),
)
