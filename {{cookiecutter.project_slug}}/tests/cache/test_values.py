"""The cache on a real Redis: what it keeps, for how long, and under which key."""

from __future__ import annotations

import time
from itertools import count

import pytest
from flask import Flask
from redis import Redis

from app import create_app
from app.cache import BYPASS, HIT, MISS, Cache
from tests.cache.conftest import asked, get, in_redis, numbers
from tests.environments import basic_environment
from tests.servers import RedisServer


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
