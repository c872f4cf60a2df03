"""The cache on a real Redis: values, expiry and keys."""

from __future__ import annotations

import time
from functools import partial
from itertools import count

import pytest
from flask import Flask
from redis import Redis

from app import create_app
from app.platform.redis.cache import (
    BYPASS,
    HIT,
    MISS,
    WAIT_SECONDS,
    Cache,
    invalidate_user_caches,
    register_user_caches,
)
from tests.environments import basic_environment
from tests.platform.redis.conftest import get, lookups, numbers, redis_keys
from tests.servers import RedisServer


@pytest.mark.req("W5")
def test_value_is_computed_once(cached_app: Flask, cache: Cache) -> None:
    computed = count(1)

    values = [get(cached_app, cache, "key", lambda: next(computed)) for _ in range(3)]

    assert values == [1, 1, 1]
    assert lookups(cache) == {HIT: 2, MISS: 1, BYPASS: 0}


@pytest.mark.req("W5")
def test_replicas_share_values(cached_app: Flask, redis_server: RedisServer, cache: Cache) -> None:
    replica = create_app(basic_environment(REDIS_URL=redis_server.url))
    get(cached_app, cache, "key", lambda: "computed here")

    assert get(replica, cache, "key", lambda: "computed there") == "computed here"


@pytest.mark.req("W5")
def test_values_expire(cached_app: Flask) -> None:
    cache = Cache("test-of-one-second", seconds=1)
    computed = count(1)
    get(cached_app, cache, "key", lambda: next(computed))

    time.sleep(1.1)

    assert get(cached_app, cache, "key", lambda: next(computed)) == 2


@pytest.mark.req("W5")
def test_all_redis_keys_expire(cached_app: Flask, redis: Redis, cache: Cache) -> None:
    get(cached_app, cache, "key", lambda: 1)
    with cached_app.app_context():
        cache.invalidate()

    (key,) = redis_keys(redis, cache)
    assert 600 < redis.ttl(key) <= 700  # CACHE_DEFAULT_TTL
    assert all(redis.ttl(key) > 0 for key in redis_keys(redis, cache, ""))


SIMILAR_KEYS = [
    [["a", "bc"], ["ab", "c"], "abc", "a:bc"],
    [1, "1", True, [1], 1.5],
    [None, "null", "", [], {}],
    [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"ab": 12}],
    ["value:key", "lock:key", "key\n", "key\r\n", "*", "x" * 10_000],
]


@pytest.mark.parametrize("keys", SIMILAR_KEYS, ids=["joined", "types", "empty", "members", "special characters"])
@pytest.mark.req("W5")
def test_similar_keys_have_separate_values(cached_app: Flask, cache: Cache, keys: list[object]) -> None:
    for number, key in enumerate(keys):
        get(cached_app, cache, key, partial(int, number))

    assert [get(cached_app, cache, key, lambda: "missed") for key in keys] == list(range(len(keys)))


def test_member_order_of_a_key_does_not_matter(cached_app: Flask, cache: Cache) -> None:
    get(cached_app, cache, {"a": 1, "b": 2}, lambda: "computed")

    assert get(cached_app, cache, {"b": 2, "a": 1}, lambda: "missed") == "computed"


@pytest.mark.req("W5")
def test_caches_and_services_have_separate_values(cached_app: Flask, redis_server: RedisServer, cache: Cache) -> None:
    other_cache = Cache(f"test{next(numbers)}")
    other_service = create_app(basic_environment(REDIS_URL=redis_server.url, SERVICE_NAME="another"))
    get(cached_app, cache, "key", lambda: "mine")

    assert get(cached_app, other_cache, "key", lambda: "its own") == "its own"
    assert get(other_service, cache, "key", lambda: "its own") == "its own"


@pytest.mark.req("W5")
def test_invalidate_drops_all_keys(cached_app: Flask, cache: Cache) -> None:
    for key in ("one", "two"):
        get(cached_app, cache, key, lambda: "old")

    with cached_app.app_context():
        cache.invalidate()

    assert [get(cached_app, cache, key, lambda: "new") for key in ("one", "two")] == ["new", "new"]
    assert get(cached_app, cache, "one", lambda: "newer") == "new"


@pytest.mark.req("W5", "P3")
def test_caches_of_users_are_invalidated_together(cached_app: Flask, cache: Cache) -> None:
    computed, other = count(1), Cache("test-of-no-users")
    register_user_caches(cached_app, [cache])
    for each in (cache, other):
        get(cached_app, each, "key", lambda: next(computed))

    with cached_app.app_context():
        invalidate_user_caches()

    assert [get(cached_app, each, "key", lambda: next(computed)) for each in (cache, other)] == [3, 2]


@pytest.mark.req("W5")
def test_value_computed_during_invalidate_is_not_stored(cached_app: Flask, cache: Cache) -> None:
    def compute() -> str:
        cache.invalidate()
        return "old"

    get(cached_app, cache, "key", compute)

    assert get(cached_app, cache, "key", lambda: "new") == "new"


CORRUPT = [b"no generation", b"\n{not json", b"\n\xff\xfe", b"an earlier generation\n1", b"", b"\nNaN,"]


@pytest.mark.parametrize("text", CORRUPT)
@pytest.mark.req("W5")
def test_corrupt_values_are_replaced(cached_app: Flask, redis: Redis, cache: Cache, text: bytes) -> None:
    get(cached_app, cache, "key", lambda: "before")
    (key,) = redis_keys(redis, cache)
    redis.set(key, text)
    started = time.monotonic()

    assert [get(cached_app, cache, "key", lambda: "after") for _ in range(2)] == ["after", "after"]
    assert lookups(cache) == {HIT: 1, MISS: 2, BYPASS: 0}
    assert time.monotonic() - started < WAIT_SECONDS  # the lock is released


def test_redis_key_of_another_type_counts_as_miss(cached_app: Flask, redis: Redis, cache: Cache) -> None:
    get(cached_app, cache, "key", lambda: "before")
    (key,) = redis_keys(redis, cache)
    redis.delete(key)
    redis.rpush(key, "a list")

    assert [get(cached_app, cache, "key", lambda: "after") for _ in range(2)] == ["after", "after"]
