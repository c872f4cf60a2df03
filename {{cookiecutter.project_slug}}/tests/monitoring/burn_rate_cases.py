"""Cases for the burn rate alerts: how fast a budget burns, for how long, and which alerts fire at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HOUR, DAY = 60, 1440  # minutes

Rate = float  # events per minute


@dataclass(frozen=True)
class Phase:
    """A period with a constant burn rate."""

    minutes: int
    burn_rate: float
    requests: Rate = 1000


@dataclass(frozen=True)
class BurnRateCase:
    """Consecutive phases, and which alerts fire at the end.

    `breaches`: scales the requests to this number of breaches in total. `rate_limited`: requests with 429 per minute.
    """

    name: str
    phases: Sequence[Phase]
    fast: bool = False
    slow: bool = False
    breaches: float | None = None
    rate_limited: Rate = 0

    @property
    def minutes(self) -> int:
        return sum(phase.minutes for phase in self.phases)

    def series(self, counter: str, budget: float) -> dict[str, str]:
        """All scraped samples, in promtool's notation."""
        route = 'job="service", instance="web:8000", endpoint="/route", method="GET"'
        requests = [phase.requests * self._scale(budget) for phase in self.phases]
        breaches = [rate * phase.burn_rate * budget for rate, phase in zip(requests, self.phases, strict=True)]
        rate_limited = [self.rate_limited for _ in self.phases]
        return {
            "http_requests_total{" + route + ', status="200"}': self._counter(requests),
            "http_requests_total{" + route + ', status="429"}': self._counter(rate_limited),
            counter + "{" + route + "}": self._counter(breaches),
        }

    def _scale(self, budget: float) -> float:
        if self.breaches is None:
            return 1
        return self.breaches / sum(phase.minutes * phase.requests * phase.burn_rate * budget for phase in self.phases)

    def _counter(self, rates: Sequence[Rate]) -> str:
        return " ".join(self._segments(rates))

    def _segments(self, rates: Sequence[Rate]) -> Iterator[str]:
        total = 0.0
        yield "0"
        for phase, rate in zip(self.phases, rates, strict=True):
            yield f"{total + rate:.6f}+{rate:.6f}x{phase.minutes - 1}"
            total += rate * phase.minutes


QUIET_DAY, QUIET_DAYS = Phase(DAY, 0), Phase(3 * DAY, 0)
BUSY_DAYS = Phase(2 * DAY, 0, requests=10_000)
CASES = (
    BurnRateCase("rate 16 for an hour", [QUIET_DAY, Phase(HOUR, 16)], fast=True),
    BurnRateCase("rate 13 for an hour", [QUIET_DAY, Phase(HOUR, 13)]),
    BurnRateCase("rate 20 for an hour, until ten minutes ago", [QUIET_DAY, Phase(HOUR, 20), Phase(10, 0)]),
    BurnRateCase("rate 7 for six hours", [QUIET_DAYS, Phase(6 * HOUR, 7)], fast=True),
    BurnRateCase("rate 5 for six hours", [QUIET_DAYS, Phase(6 * HOUR, 5)]),
    BurnRateCase("rate 9 for six hours, until an hour ago", [QUIET_DAYS, Phase(6 * HOUR, 9), Phase(HOUR, 0)]),
    BurnRateCase("rate 4 for a day, after busy days", [BUSY_DAYS, Phase(DAY, 4)], slow=True),
    BurnRateCase("rate 2 for a day, after busy days", [BUSY_DAYS, Phase(DAY, 2)]),
    BurnRateCase("rate 1.2 for three days", [Phase(3 * DAY, 1.2)], slow=True),
    BurnRateCase("rate 0.9 for three days", [Phase(3 * DAY, 0.9)]),
    BurnRateCase("rate 1.2 for three days, until seven hours ago", [Phase(3 * DAY, 1.2), Phase(7 * HOUR, 0)]),
    BurnRateCase("rate 16 for an hour, six breaches", [QUIET_DAY, Phase(HOUR, 16)], fast=True, breaches=6),
    BurnRateCase("rate 16 for an hour, four breaches", [QUIET_DAY, Phase(HOUR, 16)], breaches=4),
    BurnRateCase("rate 16 for an hour, many 429", [QUIET_DAY, Phase(HOUR, 16)], fast=True, rate_limited=100_000),
)
