"""Cases for the alerts of the platform."""

from __future__ import annotations

from collections.abc import Mapping

from tests.monitoring.alert_cases import AlertCase


def _lookups(hits: int, misses: int) -> Mapping[str, str]:
    return {
        'cache_requests_total{job="service", cache="active", result="hit"}': f"0+{hits}x60",
        'cache_requests_total{job="service", cache="active", result="miss"}': f"0+{misses}x60",
        'cache_requests_total{job="service", cache="active", result="bypass"}': "0+1000x60",
    }


UP, OTHER = 'up{job="service", instance="a:8000"}', 'up{job="service", instance="b:8000"}'
HEARTBEAT = 'celery_worker_heartbeat_age_seconds{job="service", instance="a:8000"}'
OTHER_HEARTBEAT = 'celery_worker_heartbeat_age_seconds{job="service", instance="b:8000"}'
FAILED = 'celery_tasks_total{job="worker", instance="a:9100", task="mail", state="failure"}'
LOST = 'celery_tasks_total{job="worker", instance="a:9100", task="mail", state="lost"}'
SUCCEEDED = 'celery_tasks_total{job="worker", instance="a:9100", task="mail", state="success"}'
QUEUE = 'celery_queue_length{job="service", queue="default", instance="a:8000"}'
TIMEOUTS = 'db_pool_timeouts_total{job="service", instance="a:8000"}'
FALLBACK = 'rate_limit_fallback_total{job="service", instance="a:8000"}'
CACHE_LABELS = {"cache": "active"}

CASES = (
    AlertCase("ServiceDown", {UP: "1x27 0x9", OTHER: "1x27 0x9"}, fires=True),
    AlertCase("ServiceDown", {UP: "1x20 _x20", OTHER: "1x20 _x20"}, fires=True),
    AlertCase("ServiceDown", {UP: "0x40", OTHER: "1x40"}, fires=False),
    AlertCase("ServiceDown", {UP: "1x29 0x9"}, fires=False),
    AlertCase("InstanceDown", {UP: "0x40", OTHER: "1x40"}, fires=True, labels={"instance": "a:8000"}),
    AlertCase(
        "InstanceDown",
        {'up{job="worker", instance="a:9100"}': "0x40"},
        fires=True,
        labels={"job": "worker", "instance": "a:9100"},
    ),
    AlertCase("InstanceDown", {UP: "1x29 0x9", OTHER: "1x40"}, fires=False),
    AlertCase("WorkerSilent", {HEARTBEAT: "0+60x40", OTHER_HEARTBEAT: "0+60x40"}, fires=True),
    AlertCase("WorkerSilent", {UP: "1x40"}, fires=True),
    AlertCase("WorkerSilent", {HEARTBEAT: "15x40"}, fires=False),
    AlertCase(
        "TasksFail", {FAILED: "1+0x10 4+0x5 7+0x20"}, fires=True, minutes=20, labels={"task": "mail", "job": "worker"}
    ),
    AlertCase("TasksFail", {FAILED: "1+0x30", LOST: "1+0x30", SUCCEEDED: "0+50x30"}, fires=False),
    AlertCase("QueueGrows", {QUEUE: "0+10x40"}, fires=True, labels={"queue": "default"}, value="300"),
    AlertCase("QueueGrows", {QUEUE: "0x22 500x20"}, fires=False),
    AlertCase("QueueGrows", {QUEUE: "100x40"}, fires=False),
    AlertCase("PoolExhausted", {TIMEOUTS: "0x28 3x10"}, fires=True),
    AlertCase("PoolExhausted", {TIMEOUTS: "0x10 3x30"}, fires=False),
    AlertCase("RateLimitFallback", {FALLBACK: "0x28 40x10"}, fires=True),
    AlertCase("RateLimitFallback", {FALLBACK: "40x40"}, fires=False),
    AlertCase("CacheHitRateLow", _lookups(69, 31), fires=True, minutes=50, labels=CACHE_LABELS, value="69%"),
    AlertCase("CacheHitRateLow", _lookups(71, 29), fires=False, minutes=50),
    AlertCase("CacheHitRateLow", _lookups(0, 55), fires=False, minutes=50),
)
