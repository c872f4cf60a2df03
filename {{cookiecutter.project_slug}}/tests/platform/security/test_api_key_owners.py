"""Whose key a text is: known without a database query, also while Redis does not answer."""

from __future__ import annotations

import pytest
from redis import Redis

from app.platform.circuit_breaker import CircuitBreaker
from app.platform.security.api_key_owners import ApiKeyOwners
from tests.servers import free_port

pytestmark = pytest.mark.req("S13")
KEY = "a key"


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(cooldown=600)


@pytest.fixture
def owners(breaker: CircuitBreaker) -> ApiKeyOwners:
    """A store whose Redis does not answer."""
    return ApiKeyOwners(Redis(port=free_port()), breaker, "service")


def test_lookup_without_redis_stops_further_ones(owners: ApiKeyOwners, breaker: CircuitBreaker) -> None:
    assert owners.get(KEY) is None
    assert not breaker.allows_request()


def test_owner_is_known_to_this_process_without_redis(owners: ApiKeyOwners, breaker: CircuitBreaker) -> None:
    owners.remember(KEY, 1)

    assert owners.get(KEY) == 1
    assert not breaker.allows_request()
