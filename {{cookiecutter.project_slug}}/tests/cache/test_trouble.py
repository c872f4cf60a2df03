"""The cache on a real Redis when a value is too large, many ask at once, or Redis is away."""

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

import app.cache
from app import create_app
from app.cache import BYPASS, HIT, MISS, Cache, hit_ratios
from app.redis_client import REST_SECONDS
from tests.cache.conftest import asked, get, in_redis, numbers
from tests.environments import basic_environment
from tests.servers import RedisServer, start_redis

pytestmark = pytest.mark.running


@pytest.mark.req("W5")
def test_a_value_that_is_too_large_is_not_kept_and_nobody_waits_for_it(cached_app: Flask, redis: Redis) -> None:
    cache = Cache("test-of-hundred-bytes", largest=100)
    fits, too_large = "x" * 98, "x" * 99
    get(cached_app, cache, "fits", lambda: fits)

    started = time.monotonic()
    given = [get(cached_app, cache, "key", lambda: too_large) for _ in range(3)]

    assert given == [too_large] * 3
    assert time.monotonic() - started < 1
    assert asked(cache) == {HIT: 0, MISS: 2, BYPASS: 2}
    assert sorted(redis.strlen(name) for name in in_redis(redis, cache)) == [1, 101]
    assert get(cached_app, cache, "fits", lambda: "missed") == fits


@pytest.mark.req("W5")
def test_of_twenty_who_miss_at_the_same_time_one_makes_the_value(cached_app: Flask, cache: Cache) -> None:
    made = count(1)
    together = threading.Barrier(20)

    def make() -> int:
        time.sleep(0.3)
        return next(made)

    def ask(_: int) -> object:
        together.wait()
        return get(cached_app, cache, "key", make)

    with ThreadPoolExecutor(20) as pool:
        given = list(pool.map(ask, range(20)))

    assert given == [1] * 20
    assert asked(cache) == {HIT: 19, MISS: 1, BYPASS: 0}


@pytest.mark.req("W5")
def test_an_error_is_passed_on_and_the_next_one_makes_the_value_at_once(cached_app: Flask, cache: Cache) -> None:
    def fail() -> object:
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        get(cached_app, cache, "key", fail)
    started = time.monotonic()

    assert get(cached_app, cache, "key", lambda: "made") == "made"
    assert time.monotonic() - started < 1


@pytest.mark.req("W5")
def test_a_maker_that_died_holds_the_others_up_for_a_bounded_time(
    cached_app: Flask, redis: Redis, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.cache, "WAIT_SECONDS", 0.3)
    get(cached_app, cache, "key", lambda: "before")
    (name,) = in_redis(redis, cache)
    redis.delete(name)
    redis.set(name.replace(b":value:", b":making:"), 1)  # by somebody who never comes back

    started = time.monotonic()
    given = get(cached_app, cache, "key", lambda: "after")

    assert given == "after"
    assert 0.3 <= time.monotonic() - started < 1
    assert get(cached_app, cache, "key", lambda: "missed") == "after"


@pytest.mark.req("W5")
def test_without_redis_every_value_is_made_and_none_is_kept_in_the_process(cache: Cache) -> None:
    alone = create_app(basic_environment())
    made = count(1)

    given = [get(alone, cache, "key", lambda: next(made)) for _ in range(3)]

    assert given == [1, 2, 3]
    assert asked(cache) == {HIT: 0, MISS: 0, BYPASS: 3}
    with alone.app_context():
        cache.forget()  # and finds nothing to do


@pytest.mark.parametrize("fault", [RedisServer.kill, RedisServer.pause], ids=["killed", "frozen"])
@pytest.mark.req("W5")
def test_while_redis_is_away_values_are_made_soon_and_afterwards_kept_again(
    cache: Cache, fault: Callable[[RedisServer], None]
) -> None:
    with start_redis() as server:
        application = create_app(basic_environment(REDIS_URL=server.url))
        get(application, cache, "key", lambda: "before")
        fault(server)

        started = time.monotonic()
        given = [get(application, cache, "key", lambda: "made") for _ in range(20)]
        took = time.monotonic() - started

        assert given == ["made"] * 20
        assert took < 1  # one timeout, and not twenty
        assert asked(cache) == {HIT: 0, MISS: 1, BYPASS: 20}
        server.resume() if fault is RedisServer.pause else server.restart()
        time.sleep(REST_SECONDS + 0.1)
        assert {get(application, cache, "new key", lambda: "kept") for _ in range(2)} == {"kept"}
        assert asked(cache) == {HIT: 1, MISS: 2, BYPASS: 20}


@pytest.mark.req("W5")
def test_redis_that_goes_away_while_a_value_is_made_costs_no_answer(cache: Cache) -> None:
    with start_redis() as server:
        application = create_app(basic_environment(REDIS_URL=server.url))

        def make() -> str:
            server.kill()
            return "made"

        assert get(application, cache, "key", make) == "made"


def test_a_redis_of_the_caches_own_has_a_rest_of_its_own(cache: Cache, redis_server: RedisServer, redis: Redis) -> None:
    with start_redis() as server:
        application = create_app(basic_environment(REDIS_URL=redis_server.url, CACHE_REDIS_URL=server.url))
        get(application, cache, "key", lambda: "made")
        assert not in_redis(redis, cache)
        server.kill()

        assert get(application, cache, "key", lambda: "made anew") == "made anew"
        assert application.extensions["redis_rest"].is_over()
        assert not application.extensions["cache_rest"].is_over()


@pytest.mark.req("W5")
def test_a_value_looks_the_same_kept_or_not(cached_app: Flask) -> None:
    made = {"items": ({"id": 1}, {"id": 2}), 5: None}
    plain = {"items": [{"id": 1}, {"id": 2}], "5": None}
    cache, alone = Cache(f"test{next(numbers)}"), create_app(basic_environment())

    assert [get(cached_app, cache, "key", lambda: made) for _ in range(2)] == [plain, plain]
    assert get(alone, cache, "key", lambda: made) == plain


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), b"bytes"], ids=["set", "object", "nan", "bytes"])
@pytest.mark.parametrize("redis_url", ["", "redis"])
def test_what_json_does_not_know_is_refused_with_redis_and_without(
    cached_app: Flask, cache: Cache, value: object, redis_url: str
) -> None:
    application = cached_app if redis_url else create_app(basic_environment())

    with pytest.raises((TypeError, ValueError)):
        get(application, cache, "key", lambda: value)


@pytest.mark.req("W5")
def test_a_cache_that_says_so_gives_what_the_process_was_given_for_so_long(cached_app: Flask, redis: Redis) -> None:
    cache = Cache("test-of-the-process", in_process=0.5)
    for _ in range(2):
        get(cached_app, cache, "key", lambda: ["near"])
    redis.flushdb()

    near = get(cached_app, cache, "key", lambda: ["far"])
    assert isinstance(near, list)
    near.append("changed by whoever got it")
    assert get(cached_app, cache, "key", lambda: ["far"]) == ["near"]

    time.sleep(0.6)
    assert get(cached_app, cache, "key", lambda: ["far"]) == ["far"]


def test_a_process_forgets_what_it_keeps_itself_too(cached_app: Flask) -> None:
    cache = Cache("test-of-forgetting", in_process=60)
    for _ in range(2):
        get(cached_app, cache, "key", lambda: "old")

    with cached_app.app_context():
        cache.forget()

    assert get(cached_app, cache, "key", lambda: "new") == "new"


@pytest.mark.req("W5")
def test_the_hit_ratio_is_told_by_cache_from_the_first_request_on() -> None:
    family = CounterMetricFamily("cache_requests", "", labels=["cache", "result"])
    for cache, result, value in [("a", HIT, 6), ("a", MISS, 1), ("a", BYPASS, 1), ("b", MISS, 2), ("c", HIT, 0)]:
        family.add_metric([cache, result], value)

    ratios = hit_ratios([*REGISTRY.collect(), family])

    told = {sample.labels["cache"]: sample.value for sample in ratios.samples}
    assert (told["a"], told["b"]) == (0.75, 0)
    assert "c" not in told
