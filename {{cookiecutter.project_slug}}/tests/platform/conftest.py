"""A client of Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.servers import RedisServer


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    """A client that reads texts, of a Redis that is emptied afterwards."""
    with Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client
        client.flushdb()
