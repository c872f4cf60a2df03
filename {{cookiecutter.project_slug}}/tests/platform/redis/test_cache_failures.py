"""The cache with values that are too large, concurrent callers, and an unavailable Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from flask import Flask
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from redis import Redis

from app import create_app
from app.platform.components import platform_of
from app.platform.redis import cache as cache_module
from app.platform.redis.cache import BYPASS, HIT, MISS, WAIT_SECONDS, Cache, CacheConnection, hit_ratios
from app.platform.redis.client import COOLDOWN_SECONDS, redis_breaker_of
from tests.environments import basic_environment
from tests.platform.redis.conftest import get, lookups, numbers, redis_keys
from tests.servers import RedisServer, start_redis

pytestmark = pytest.mark.running


@pytest.mark.req("W5")
def test_too_large_values_are_not_stored_and_block_no_caller(cached_app: Flask, redis: Redis) -> None:
    cache = Cache("test-of-hundred-bytes", max_bytes=100)
    fits, too_large = "x" * 98, "x" * 99
    get(cached_app, cache, "fits", lambda: fits)

    started = time.monotonic()
    values = [get(cached_app, cache, "key", lambda: too_large) for _ in range(3)]

    assert values == [too_large] * 3
    assert time.monotonic() - started < WAIT_SECONDS
    assert lookups(cache) == {HIT: 0, MISS: 2, BYPASS: 2}
    assert sorted(redis.strlen(key) for key in redis_keys(redis, cache)) == [1, 101]
    assert get(cached_app, cache, "fits", lambda: "missed") == fits


@pytest.mark.req("W5")
def test_one_of_twenty_concurrent_callers_computes(cached_app: Flask, cache: Cache) -> None:
    computed = count(1)
    barrier = threading.Barrier(20)

    def compute() -> int:
        time.sleep(0.3)
        return next(computed)

    def look_up(_: int) -> object:
        barrier.wait()
        return get(cached_app, cache, "key", compute)

    with ThreadPoolExecutor(20) as pool:
        values = list(pool.map(look_up, range(20)))

    assert values == [1] * 20
    assert lookups(cache) == {HIT: 19, MISS: 1, BYPASS: 0}


@pytest.mark.req("W5")
def test_exception_propagates_and_releases_the_lock(cached_app: Flask, cache: Cache) -> None:
    def fail() -> object:
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        get(cached_app, cache, "key", fail)
    started = time.monotonic()

    assert get(cached_app, cache, "key", lambda: "computed") == "computed"
    assert time.monotonic() - started < WAIT_SECONDS


@pytest.mark.req("W5")
def test_lock_of_a_dead_process_delays_callers_for_wait_seconds(
    cached_app: Flask, redis: Redis, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "WAIT_SECONDS", 0.3)
    get(cached_app, cache, "key", lambda: "before")
    (key,) = redis_keys(redis, cache)
    redis.delete(key)
    redis.set(key.replace(b":value:", b":lock:"), 1)  # by a process that died

    started = time.monotonic()
    value = get(cached_app, cache, "key", lambda: "after")

    assert value == "after"
    assert 0.3 <= time.monotonic() - started < 3
    assert get(cached_app, cache, "key", lambda: "missed") == "after"


@pytest.mark.req("W5")
def test_without_redis_every_value_is_computed(cache: Cache) -> None:
    app = create_app(basic_environment())
    computed = count(1)

    values = [get(app, cache, "key", lambda: next(computed)) for _ in range(3)]

    assert values == [1, 2, 3]
    assert lookups(cache) == {HIT: 0, MISS: 0, BYPASS: 3}
    with app.app_context():
        cache.invalidate()  # does nothing


@pytest.mark.parametrize("fault", [RedisServer.kill, RedisServer.pause], ids=["killed", "frozen"])
@pytest.mark.req("W5")
def test_unavailable_redis_costs_one_timeout_until_it_returns(
    cache: Cache, fault: Callable[[RedisServer], None]
) -> None:
    with start_redis() as server:
        app = create_app(basic_environment(REDIS_URL=server.url))
        get(app, cache, "key", lambda: "before")
        fault(server)

        started = time.monotonic()
        values = [get(app, cache, "key", lambda: "computed") for _ in range(20)]
        seconds = time.monotonic() - started

        assert values == ["computed"] * 20
        assert seconds < 2.5  # one timeout of 0.25 s, not twenty
        assert lookups(cache) == {HIT: 0, MISS: 1, BYPASS: 20}
        server.resume() if fault is RedisServer.pause else server.restart()
        time.sleep(COOLDOWN_SECONDS + 0.1)
        assert {get(app, cache, "new key", lambda: "stored") for _ in range(2)} == {"stored"}
        assert lookups(cache) == {HIT: 1, MISS: 2, BYPASS: 20}


@pytest.mark.req("W5")
def test_redis_failure_while_computing_returns_the_value(cache: Cache) -> None:
    with start_redis() as server:
        app = create_app(basic_environment(REDIS_URL=server.url))

        def compute() -> str:
            server.kill()
            return "computed"

        assert get(app, cache, "key", compute) == "computed"


def test_separate_cache_redis_has_its_own_breaker(cache: Cache, redis_server: RedisServer, redis: Redis) -> None:
    with start_redis() as server:
        app = create_app(basic_environment(REDIS_URL=redis_server.url, CACHE_REDIS_URL=server.url))
        get(app, cache, "key", lambda: "computed")
        assert not redis_keys(redis, cache)
        server.kill()

        assert get(app, cache, "key", lambda: "computed again") == "computed again"
        assert redis_breaker_of(app).allows_request()
        assert not platform_of(app).get(CacheConnection).breaker.allows_request()


@pytest.mark.req("W5")
def test_values_have_the_same_types_cached_or_not(cached_app: Flask) -> None:
    computed = {"items": ({"id": 1}, {"id": 2}), 5: None}
    plain = {"items": [{"id": 1}, {"id": 2}], "5": None}
    cache, app_without_redis = Cache(f"test{next(numbers)}"), create_app(basic_environment())

    assert [get(cached_app, cache, "key", lambda: computed) for _ in range(2)] == [plain, plain]
    assert get(app_without_redis, cache, "key", lambda: computed) == plain


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), b"bytes"], ids=["set", "object", "nan", "bytes"])
@pytest.mark.parametrize("redis_url", ["", "redis"])
def test_values_without_json_type_are_rejected(cached_app: Flask, cache: Cache, value: object, redis_url: str) -> None:
    app = cached_app if redis_url else create_app(basic_environment())

    with pytest.raises((TypeError, ValueError)):
        get(app, cache, "key", lambda: value)


def test_waiting_callers_log_nothing_and_create_no_metric(
    cached_app: Flask, redis: Redis, cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache_module, "WAIT_SECONDS", 0.1)
    get(cached_app, cache, "key", lambda: "before")
    (key,) = redis_keys(redis, cache)
    redis.rename(key, key.replace(b":value:", b":lock:"))

    get(cached_app, cache, "key", lambda: "after")

    assert not [record for record in caplog.records if record.name.startswith("stamina")]
    assert "stamina_retries" not in {metric.name for metric in REGISTRY.collect()}


@pytest.mark.req("W5")
def test_hit_ratio_is_computed_per_cache() -> None:
    family = CounterMetricFamily("cache_requests", "", labels=["cache", "result"])
    for cache, result, value in [("a", HIT, 6), ("a", MISS, 1), ("a", BYPASS, 1), ("b", MISS, 2), ("c", HIT, 0)]:
        family.add_metric([cache, result], value)

    ratios = hit_ratios([*REGISTRY.collect(), family])

    values = {sample.labels["cache"]: sample.value for sample in ratios.samples}
    assert (values["a"], values["b"]) == (0.75, 0)
    assert "c" not in values
