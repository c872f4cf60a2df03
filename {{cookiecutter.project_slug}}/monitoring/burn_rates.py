"""The alerts for error budgets, by the SRE Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts".

A burn rate is the rate of breaches as a multiple of the rate that uses up the budget in exactly thirty days. An alert
fires if the burn rate is too high over a long window and over a short one; the short one resolves it soon after the
cause is fixed. With few requests, one breach is a large share of them, so an alert also needs a minimum number of
breaches ("Low-Traffic Services" in the same chapter).
"""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.telemetry.alerts import CRITICAL, WARNING, Alert, template_variable
from monitoring.promql import BY_ROUTE, increase, sum_by

MIN_BREACHES = 5


@dataclass(frozen=True)
class Indicator:
    """A service level indicator: its `slo` label in rules, and a description of its breach."""

    slo: str
    breach: str

    @property
    def counter(self) -> str:
        """The name of the counter of its breaches."""
        return f"api_slo_{self.slo}_breach_total"


@dataclass(frozen=True)
class BurnRate:
    """A burn rate, and the two windows over which an alert compares it."""

    rate: float
    long: str
    short: str


INDICATORS = (
    Indicator("latency", "were slower than the objective of the route"),
    Indicator("error", "returned a 5xx status other than 503"),
    Indicator("availability", "returned a 5xx status"),
)
FAST = (BurnRate(14.4, "1h", "5m"), BurnRate(6, "6h", "30m"))  # 2 % of the budget in an hour, 5 % in six
SLOW = (BurnRate(3, "1d", "2h"), BurnRate(1, "3d", "6h"))  # 10 % in a day, or in three


def _any_burn_rate_exceeded(indicator: Indicator, burn_rates: tuple[BurnRate, ...]) -> str:
    return "\nor\n".join(f"(\n{_burn_rate_exceeded(indicator, burn_rate)}\n)" for burn_rate in burn_rates)


def _burn_rate_exceeded(indicator: Indicator, burn_rate: BurnRate) -> str:
    slo = '{slo="' + indicator.slo + '"}'
    limit = f"{burn_rate.rate} * slo:budget:ratio{slo}"
    breaches = sum_by(BY_ROUTE, increase(indicator.counter, window=burn_rate.long))
    return (
        f"  slo:breaches:ratio_rate{burn_rate.long}{slo} > {limit}\n"
        f"  and slo:breaches:ratio_rate{burn_rate.short}{slo} > {limit}\n"
        f"  and on ({BY_ROUTE}) {breaches} >= {MIN_BREACHES}"
    )


def _budget_alert(
    indicator: Indicator, speed: str, severity: str, burn_rates: tuple[BurnRate, ...], forecast: str
) -> Alert:
    route = f"{template_variable('$labels.method')} {template_variable('$labels.endpoint')}"
    share = template_variable("$value | humanizePercentage")
    return Alert(
        f"{indicator.slo.capitalize()}BudgetBurns{speed.capitalize()}",
        severity,
        _any_burn_rate_exceeded(indicator, burn_rates),
        f"{route}: the {indicator.slo} budget burns {speed}",
        f"{share} of the requests to {route} {indicator.breach}. {forecast}",
    )


FAST_BURN_ALERTS = tuple(
    _budget_alert(indicator, "fast", CRITICAL, FAST, "At this rate, the budget of thirty days lasts at most five days.")
    for indicator in INDICATORS
)
SLOW_BURN_ALERTS = tuple(
    _budget_alert(indicator, "slowly", WARNING, SLOW, "At this rate, the budget does not last thirty days.")
    for indicator in INDICATORS
)
