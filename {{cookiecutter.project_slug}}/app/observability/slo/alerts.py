"""Every alert, in one table: that a budget burns, which follows from the objectives, and that a part is not well.

Budgets burn by the SRE Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts": the rate of breaches over a long
window, in multiples of what the budget of thirty days allows, and over a short one, so that an alert ends soon after
its cause. With few requests one breach is a large share, so there have to be some (its "Low-Traffic Services").
"""

from __future__ import annotations

from dataclasses import dataclass

from app.observability.slo.promql import BY_ROUTE, WORKER, highest, increase, lowest, rate, series, text_of, total

CRITICAL, WARNING = "critical", "warning"  # somebody is called, somebody looks at it within a day
LEAST_BREACHES = 5

CACHE_HIT_RATE = 0.7
BUSY_CACHE = 1  # look-ups a second: one that is asked seldom finds little, and that is no loss
QUEUE_LENGTH = 100
HEARTBEAT_AGE, HEARTBEAT_SECONDS = "celery_worker_heartbeat_age_seconds", 120
ENDED_BADLY, FAILURES = 'state=~"failure|lost"', 3
KEY_AGE = series("encryption_key_age_days", over="8d", job=WORKER)  # told once a week
KEY_DAYS = 90  # what ENCRYPTION_KEY_DAYS is by default


@dataclass(frozen=True)
class Alert:
    """A condition, and what somebody is told once it has held for `wait`. A part of the runbook has its name."""

    name: str
    severity: str
    query: str
    summary: str
    description: str
    wait: str = ""


@dataclass(frozen=True)
class Indicator:
    """One kind of promise: its name in rules, and what it is to break it."""

    slo: str
    breach: str

    @property
    def counter(self) -> str:
        """What counts its breaches."""
        return f"api_slo_{self.slo}_breach_total"


@dataclass(frozen=True)
class Burn:
    """A rate at which a budget burns, in multiples of what thirty days allow, and the two windows it is seen in."""

    rate: float
    long: str
    short: str


INDICATORS = (
    Indicator("latency", "took longer than the route's objective"),
    Indicator("error", "failed for a fault of the service"),
    Indicator("availability", "were not served"),
)
FAST = (Burn(14.4, "1h", "5m"), Burn(6, "6h", "30m"))  # 2 % of the budget in an hour, 5 % in six
SLOW = (Burn(3, "1d", "2h"), Burn(1, "3d", "6h"))  # 10 % in a day, or in three


def _burns(indicator: Indicator, burns: tuple[Burn, ...]) -> str:
    return "\nor\n".join(f"(\n{_burns_at(indicator, burn)}\n)" for burn in burns)


def _burns_at(indicator: Indicator, burn: Burn) -> str:
    slo = '{slo="' + indicator.slo + '"}'
    allowed = f"{burn.rate} * slo:budget:ratio{slo}"
    breaches = total(BY_ROUTE, increase(indicator.counter, over=burn.long))
    return (
        f"  slo:breaches:ratio_rate{burn.long}{slo} > {allowed}\n"
        f"  and slo:breaches:ratio_rate{burn.short}{slo} > {allowed}\n"
        f"  and on ({BY_ROUTE}) {breaches} >= {LEAST_BREACHES}"
    )


def _budget_alert(indicator: Indicator, how: str, severity: str, burns: tuple[Burn, ...], outlook: str) -> Alert:
    route = f"{text_of('$labels.method')} {text_of('$labels.endpoint')}"
    return Alert(
        f"{indicator.slo.capitalize()}BudgetBurns{how.capitalize()}",
        severity,
        _burns(indicator, burns),
        f"{route}: the {indicator.slo} budget burns {how}",
        f"{text_of('$value | humanizePercentage')} of the requests to {route} {indicator.breach}. {outlook}",
    )


def _hit_rate(over: str) -> str:
    hits = total("job, cache", rate("cache_requests_total", 'result="hit"', over=over))
    return f"{hits} / {_lookups(over)}"


def _lookups(over: str) -> str:
    return total("job, cache", rate("cache_requests_total", 'result=~"hit|miss"', over=over))


FAST_BURNS = tuple(
    _budget_alert(indicator, "fast", CRITICAL, FAST, "So the budget of thirty days is gone within five.")
    for indicator in INDICATORS
)
SLOW_BURNS = tuple(
    _budget_alert(indicator, "slowly", WARNING, SLOW, "So the budget of thirty days does not last.")
    for indicator in INDICATORS
)
PLATFORM = (
    Alert(
        "ServiceDown",
        CRITICAL,
        f"{total('job', series('up'))} == 0 or absent({series('up')})",
        "No web container answers",
        "Prometheus has reached no web container for a minute: nobody is served.",
        wait="1m",
    ),
    Alert(
        "InstanceDown",
        WARNING,
        f"{series('up')} == 0 or {series('up', job=WORKER)} == 0",
        f"{text_of('$labels.instance')} does not answer",
        "One container has not been reached for two minutes. The others do what it should.",
        wait="2m",
    ),
    Alert(
        "WorkerSilent",
        CRITICAL,
        f"{lowest('job', series(HEARTBEAT_AGE))} > {HEARTBEAT_SECONDS} or absent({series(HEARTBEAT_AGE)})",
        "No background task is run",
        f"Beat sends a heartbeat every 15 seconds, and for {HEARTBEAT_SECONDS} no worker has run one.",
        wait="1m",
    ),
    Alert(
        "TasksFail",
        WARNING,
        f"{total('job, task', increase('celery_tasks_total', ENDED_BADLY, over='15m', job=WORKER))} > {FAILURES}",
        f"{text_of('$labels.task')} fails",
        f"More than {FAILURES} runs failed within a quarter of an hour, or were lost with their process.",
    ),
    Alert(
        "QueueGrows",
        WARNING,
        f"{highest('job, queue', series('celery_queue_length'))} > {QUEUE_LENGTH}",
        f"{text_of('$value')} tasks wait in {text_of('$labels.queue')}",
        f"More than {QUEUE_LENGTH} tasks have been waiting for ten minutes: the workers do not keep up.",
        wait="10m",
    ),
    Alert(
        "PoolExhausted",
        WARNING,
        f"{total('job', increase('db_pool_timeouts_total', over='5m'))} > 0",
        "Requests find no database connection",
        "In the last five minutes requests waited for DB_POOL_TIMEOUT, and were answered 503.",
    ),
    Alert(
        "LimitsPerProcess",
        WARNING,
        f"{total('job', increase('rate_limit_fallback_total', over='5m'))} > 0",
        "Rate limits are counted per process",
        "Redis did not answer the limiter: limits are looser by the number of processes.",
    ),
    Alert(
        "CacheHitRateLow",
        WARNING,
        f"{_hit_rate('30m')} < {CACHE_HIT_RATE}\nand {_lookups('30m')} > {BUSY_CACHE}",
        f"The cache {text_of('$labels.cache')} finds {text_of('$value | humanizePercentage')}",
        f"Less than {CACHE_HIT_RATE:.0%} of the look-ups of half an hour were answered from the cache.",
        wait="15m",
    ),
    Alert(
        "EncryptionKeyOverdue",
        WARNING,
        f"{highest('job', f'last_over_time({KEY_AGE})')} > {KEY_DAYS}",
        f"The encryption key is {text_of('$value')} days old",
        f"MASTER_ENCRYPTION_KEY is to be replaced every {KEY_DAYS} days.",
        wait="1h",
    ),
)
ALERTS = FAST_BURNS + SLOW_BURNS + PLATFORM
