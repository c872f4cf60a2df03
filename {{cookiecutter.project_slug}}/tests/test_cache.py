"""The cache on a real Redis: what it keeps, for how long, and what happens when it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from flask import Flask
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from redis import Redis

import app.cache
from app import create_app
from app.cache import BYPASS, HIT, MISS, REQUESTS, Cache, hit_ratios
from app.redis_client import REST_SECONDS
from tests.environments import basic_environment
from tests.servers import RedisServer, start_redis

numbers = count(1)


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client
        client.flushdb()


@pytest.fixture
def cached_app(redis: Redis, redis_server: RedisServer) -> Flask:
    return create_app(basic_environment(REDIS_URL=redis_server.url, CACHE_DEFAULT_TTL="7"))


@pytest.fixture
def cache() -> Cache:
    return Cache(f"test{next(numbers)}")


def asked(cache: Cache) -> dict[str, int]:
    """How often a cache was asked, by result."""
    return {result: int(REQUESTS.labels(cache._name, result)._value.get()) for result in (HIT, MISS, BYPASS)}


def get(app: Flask, cache: Cache, key: object, make: Callable[[], object]) -> object:
    with app.app_context():
        return cache.get_or_make(key, make)


def in_redis(redis: Redis, cache: Cache, kind: str = "value") -> list[bytes]:
    found: list[bytes] = redis.keys(f"service-under-test:cache:{cache._name}:{kind}*")  # type: ignore[assignment] # not awaited
    return found


@pytest.mark.req("W5")
def test_a_value_is_made_once_and_then_given(cached_app: Flask, cache: Cache) -> None:
    made = count(1)

    given = [get(cached_app, cache, "key", lambda: next(made)) for _ in range(3)]

    assert given == [1, 1, 1]
    assert asked(cache) == {HIT: 2, MISS: 1, BYPASS: 0}


@pytest.mark.req("W5")
def test_another_process_finds_it(cached_app: Flask, redis_server: RedisServer, cache: Cache) -> None:
    replica = create_app(basic_environment(REDIS_URL=redis_server.url))
    get(cached_app, cache, "key", lambda: "made here")

    assert get(replica, cache, "key", lambda: "made there") == "made here"


@pytest.mark.req("W5")
def test_a_value_ends_with_its_time(cached_app: Flask) -> None:
    cache = Cache("test-of-one-second", seconds=1)
    made = count(1)
    get(cached_app, cache, "key", lambda: next(made))

    time.sleep(1.1)

    assert get(cached_app, cache, "key", lambda: next(made)) == 2


@pytest.mark.req("W5")
def test_nothing_stays_in_redis_for_ever(cached_app: Flask, redis: Redis, cache: Cache) -> None:
    get(cached_app, cache, "key", lambda: 1)
    with cached_app.app_context():
        cache.forget()

    (value,) = in_redis(redis, cache)
    assert redis.ttl(value) == 7  # CACHE_DEFAULT_TTL
    assert all(redis.ttl(key) > 0 for key in in_redis(redis, cache, ""))


ALIKE = [
    [["a", "bc"], ["ab", "c"], "abc", "a:bc"],
    [1, "1", True, [1], 1.5],
    [None, "null", "", [], {}],
    [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"ab": 12}],
    ["value:key", "making:key", "key\n", "key\r\n", "*", "x" * 10_000],
]


@pytest.mark.parametrize("keys", ALIKE, ids=["joined", "types", "empty", "members", "signs"])
@pytest.mark.req("W5")
def test_keys_that_look_alike_are_apart(cached_app: Flask, cache: Cache, keys: list[object]) -> None:
    for number, key in enumerate(keys):
        get(cached_app, cache, key, lambda number=number: number)  # type: ignore[misc] # bound now

    assert [get(cached_app, cache, key, lambda: "missed") for key in keys] == list(range(len(keys)))


def test_the_order_of_a_keys_members_makes_no_difference(cached_app: Flask, cache: Cache) -> None:
    get(cached_app, cache, {"a": 1, "b": 2}, lambda: "made")

    assert get(cached_app, cache, {"b": 2, "a": 1}, lambda: "missed") == "made"


@pytest.mark.req("W5")
def test_caches_and_services_do_not_see_each_others_values(
    cached_app: Flask, redis_server: RedisServer, cache: Cache
) -> None:
    other_cache = Cache(f"test{next(numbers)}")
    other_service = create_app(basic_environment(REDIS_URL=redis_server.url, SERVICE_NAME="another"))
    get(cached_app, cache, "key", lambda: "mine")

    assert get(cached_app, other_cache, "key", lambda: "its own") == "its own"
    assert get(other_service, cache, "key", lambda: "its own") == "its own"


@pytest.mark.req("W5")
def test_what_is_forgotten_is_made_anew_under_every_key(cached_app: Flask, cache: Cache) -> None:
    for key in ("one", "two"):
        get(cached_app, cache, key, lambda: "old")

    with cached_app.app_context():
        cache.forget()

    assert [get(cached_app, cache, key, lambda: "new") for key in ("one", "two")] == ["new", "new"]
    assert get(cached_app, cache, "one", lambda: "newer") == "new"


@pytest.mark.req("W5")
def test_what_was_being_made_when_all_was_forgotten_is_not_kept(cached_app: Flask, cache: Cache) -> None:
    def make() -> str:
        cache.forget()
        return "old"

    get(cached_app, cache, "key", make)

    assert get(cached_app, cache, "key", lambda: "new") == "new"


DAMAGED = [b"rubbish", b"\n{not json", b"\n\xff\xfe", b"a generation before\n1", b"", b"\nNaN,"]


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.req("W5")
def test_a_damaged_value_is_a_miss_and_is_replaced(
    cached_app: Flask, redis: Redis, cache: Cache, damage: bytes
) -> None:
    get(cached_app, cache, "key", lambda: "good")
    (name,) = in_redis(redis, cache)
    redis.set(name, damage)
    started = time.monotonic()

    assert [get(cached_app, cache, "key", lambda: "better") for _ in range(2)] == ["better", "better"]
    assert asked(cache) == {HIT: 1, MISS: 2, BYPASS: 0}
    assert time.monotonic() - started < 1


def test_a_value_of_another_type_is_a_miss(cached_app: Flask, redis: Redis, cache: Cache) -> None:
    get(cached_app, cache, "key", lambda: "good")
    (name,) = in_redis(redis, cache)
    redis.delete(name)
    redis.rpush(name, "a list")

    assert [get(cached_app, cache, "key", lambda: "better") for _ in range(2)] == ["better", "better"]


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


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), b"bytes"], ids=repr)
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
