"""The alerts of the platform's components: containers, workers, database, Redis, cache.

`burn_rates` has the alerts of the objectives; features declare their own in `Feature.alerts`.
"""

from __future__ import annotations

from app.platform.telemetry.alerts import CRITICAL, WARNING, Alert, template_variable
from monitoring.promql import WORKER, increase, max_by, min_by, rate, selector, sum_by

MIN_HIT_RATE = 0.7
MIN_LOOKUPS_PER_SECOND = 1  # the hit rate of a cache with fewer lookups is low, and costs little
MAX_QUEUE_LENGTH = 100
HEARTBEAT_AGE, MAX_HEARTBEAT_AGE_SECONDS = "celery_worker_heartbeat_age_seconds", 120
FAILED_STATES, MAX_FAILURES = 'state=~"failure|lost"', 3


def _hit_rate(window: str) -> str:
    hits = sum_by("job, cache", rate("cache_requests_total", 'result="hit"', window=window))
    return f"{hits} / {_lookups(window)}"


def _lookups(window: str) -> str:
    return sum_by("job, cache", rate("cache_requests_total", 'result=~"hit|miss"', window=window))


PLATFORM_ALERTS = (
    Alert(
        "ServiceDown",
        CRITICAL,
        f"{sum_by('job', selector('up'))} == 0 or absent({selector('up')})",
        "No web container responds",
        "Prometheus has not reached any web container for a minute. Probably all requests fail.",
        for_="1m",
    ),
    Alert(
        "InstanceDown",
        WARNING,
        f"{selector('up')} == 0 or {selector('up', job=WORKER)} == 0",
        f"{template_variable('$labels.instance')} does not respond",
        "Prometheus has not reached this container for two minutes. The others do its work.",
        for_="2m",
    ),
    Alert(
        "WorkerSilent",
        CRITICAL,
        f"{min_by('job', selector(HEARTBEAT_AGE))} > {MAX_HEARTBEAT_AGE_SECONDS} or absent({selector(HEARTBEAT_AGE)})",
        "No worker runs background tasks",
        f"Beat sends a heartbeat task every 15 seconds. No worker has run one for {MAX_HEARTBEAT_AGE_SECONDS} seconds.",
        for_="1m",
    ),
    Alert(
        "TasksFail",
        WARNING,
        f"{sum_by('job, task', increase('celery_tasks_total', FAILED_STATES, window='15m', job=WORKER))}"
        f" > {MAX_FAILURES}",
        f"The task {template_variable('$labels.task')} fails",
        f"More than {MAX_FAILURES} runs failed within 15 minutes, or were lost because their process was killed.",
    ),
    Alert(
        "QueueGrows",
        WARNING,
        f"{max_by('job, queue', selector('celery_queue_length'))} > {MAX_QUEUE_LENGTH}",
        f"{template_variable('$value')} tasks wait in the queue {template_variable('$labels.queue')}",
        f"More than {MAX_QUEUE_LENGTH} tasks have been waiting for ten minutes: the workers are too slow.",
        for_="10m",
    ),
    Alert(
        "PoolExhausted",
        WARNING,
        f"{sum_by('job', increase('db_pool_timeouts_total', window='5m'))} > 0",
        "Requests get no database connection",
        "In the last five minutes, requests waited for DB_POOL_TIMEOUT and returned 503.",
    ),
    Alert(
        "RateLimitFallback",
        WARNING,
        f"{sum_by('job', increase('rate_limit_fallback_total', window='5m'))} > 0",
        "Each process counts rate limits separately",
        "Redis did not respond to the rate limiter: the limits are higher by a factor of the number of processes.",
    ),
    Alert(
        "CacheHitRateLow",
        WARNING,
        f"{_hit_rate('30m')} < {MIN_HIT_RATE}\nand {_lookups('30m')} > {MIN_LOOKUPS_PER_SECOND}",
        f"The hit rate of the cache {template_variable('$labels.cache')} is"
        f" {template_variable('$value | humanizePercentage')}",
        f"Over 30 minutes, less than {MIN_HIT_RATE:.0%} of the lookups were hits.",
        for_="15m",
    ),
)
