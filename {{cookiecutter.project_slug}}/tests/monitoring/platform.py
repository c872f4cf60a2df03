"""What the platform's alerts are tried with: what was scraped, and which alerts it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """What was scraped once a minute, in promtool's notation, and whether the alert fires after so many minutes.

    `labels` are those of the alert, `value` is how its text shows what the query came to.
    """

    alert: str
    series: Mapping[str, str]
    fires: bool
    minutes: int = 30
    labels: Mapping[str, str] = field(default_factory=dict)
    value: str = ""


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
DONE = 'celery_tasks_total{job="worker", instance="a:9100", task="mail", state="success"}'
QUEUE = 'celery_queue_length{job="service", queue="default", instance="a:8000"}'
TIMEOUTS = 'db_pool_timeouts_total{job="service", instance="a:8000"}'
FALLBACK = 'rate_limit_fallback_total{job="service", instance="a:8000"}'
KEY_AGE = 'encryption_key_age_days{job="worker", instance="a:9100"}'
CACHE = {"cache": "active"}

CASES = (
    Case("ServiceDown", {UP: "1x27 0x9", OTHER: "1x27 0x9"}, fires=True),
    Case("ServiceDown", {UP: "1x20 _x20", OTHER: "1x20 _x20"}, fires=True),
    Case("ServiceDown", {UP: "0x40", OTHER: "1x40"}, fires=False),
    Case("ServiceDown", {UP: "1x29 0x9"}, fires=False),
    Case("InstanceDown", {UP: "0x40", OTHER: "1x40"}, fires=True, labels={"instance": "a:8000"}),
    Case(
        "InstanceDown",
        {'up{job="worker", instance="a:9100"}': "0x40"},
        fires=True,
        labels={"job": "worker", "instance": "a:9100"},
    ),
    Case("InstanceDown", {UP: "1x29 0x9", OTHER: "1x40"}, fires=False),
    Case("WorkerSilent", {HEARTBEAT: "0+60x40", OTHER_HEARTBEAT: "0+60x40"}, fires=True),
    Case("WorkerSilent", {UP: "1x40"}, fires=True),
    Case("WorkerSilent", {HEARTBEAT: "15x40"}, fires=False),
    Case(
        "TasksFail", {FAILED: "1+0x10 4+0x5 7+0x20"}, fires=True, minutes=20, labels={"task": "mail", "job": "worker"}
    ),
    Case("TasksFail", {FAILED: "1+0x30", LOST: "1+0x30", DONE: "0+50x30"}, fires=False),
    Case("QueueGrows", {QUEUE: "0+10x40"}, fires=True, labels={"queue": "default"}, value="300"),
    Case("QueueGrows", {QUEUE: "0x22 500x20"}, fires=False),
    Case("QueueGrows", {QUEUE: "100x40"}, fires=False),
    Case("PoolExhausted", {TIMEOUTS: "0x28 3x10"}, fires=True),
    Case("PoolExhausted", {TIMEOUTS: "0x10 3x30"}, fires=False),
    Case("LimitsPerProcess", {FALLBACK: "0x28 40x10"}, fires=True),
    Case("LimitsPerProcess", {FALLBACK: "40x40"}, fires=False),
    Case("CacheHitRateLow", _lookups(69, 31), fires=True, minutes=50, labels=CACHE, value="69%"),
    Case("CacheHitRateLow", _lookups(71, 29), fires=False, minutes=50),
    Case("CacheHitRateLow", _lookups(0, 55), fires=False, minutes=50),
    Case("EncryptionKeyOverdue", {KEY_AGE: "91 _x120"}, fires=True, minutes=100, labels={"job": "worker"}, value="91"),
    Case("EncryptionKeyOverdue", {KEY_AGE: "90x120"}, fires=False, minutes=100),
)
