"""Fixtures of the cache tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from flask import Flask
from redis import Redis

from app import create_app
from app.platform.redis.cache import BYPASS, HIT, MISS, REQUESTS, Cache
from tests.environments import basic_environment
from tests.servers import RedisServer

numbers = count(1)  # for unique cache names


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client
        client.flushdb()


@pytest.fixture
def cached_app(redis: Redis, redis_server: RedisServer) -> Flask:
    return create_app(basic_environment(REDIS_URL=redis_server.url, CACHE_DEFAULT_TTL="700"))


@pytest.fixture
def cache() -> Cache:
    return Cache(f"test{next(numbers)}")


def lookups(cache: Cache) -> dict[str, int]:
    """The number of lookups of a cache, by result."""
    return {result: int(REQUESTS.labels(cache._name, result)._value.get()) for result in (HIT, MISS, BYPASS)}


def get(app: Flask, cache: Cache, key: object, compute: Callable[[], object]) -> object:
    with app.app_context():
        return cache.get_or_compute(key, compute)


def redis_keys(redis: Redis, cache: Cache, kind: str = "value") -> list[bytes]:
    """The keys of a cache in Redis."""
    return list(redis.scan_iter(f"service-under-test:cache:{cache._name}:{kind}*"))
