"""Growing waits after failed attempts, counted in Redis and in the process alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from app.platform.circuit_breaker import CircuitBreaker
from app.platform.security import backoff
from app.platform.security.backoff import Attempt, Backoff, LocalBackoff, Rule, SharedBackoff
from tests.servers import RedisServer

RULE = Rule(free=3, longest=60)
HOME, ATTACKER = Attempt("ann", "192.0.2.1"), Attempt("ann", "203.0.113.7")

Counter = SharedBackoff | LocalBackoff


@pytest.fixture(params=["shared", "local"])
def counter(request: pytest.FixtureRequest, redis: Redis) -> Counter:
    return SharedBackoff(redis, "test") if request.param == "shared" else LocalBackoff()


@pytest.fixture
def pass_time(counter: Counter, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes all waits end sooner by some seconds."""

    def shared(seconds: int) -> None:
        for key in redis.keys("*"):
            if redis.type(key) == "hash" and (until := redis.hget(key, "until")):
                redis.hset(key, "until", int(str(until)) - seconds)

    def local(seconds: int) -> None:
        assert isinstance(counter, LocalBackoff)
        for failures in counter._failures.values():
            failures.until -= seconds

    return shared if isinstance(counter, SharedBackoff) else local


def succeed(counter: Counter, attempt: Attempt) -> None:
    """Start an attempt that succeeds."""
    counter.take_back(attempt, RULE, known=counter.start(attempt, RULE).known, trust=True)


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_waits_start_after_free_failures_and_double(counter: Counter, pass_time: Callable[[int], None]) -> None:
    free = [counter.start(ATTACKER, RULE).wait for _ in range(3)]
    waits = []
    for _ in range(4):
        waits.append(counter.start(ATTACKER, RULE).wait)
        pass_time(waits[-1])
        counter.start(ATTACKER, RULE)

    assert free == [0, 0, 0]
    for wait, expected in zip(waits, (15, 30, 60, 60), strict=True):
        assert expected - 2 <= wait <= expected


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_rejected_attempts_do_not_extend_the_wait(counter: Counter) -> None:
    for _ in range(50):
        counter.start(ATTACKER, RULE)

    assert 0 < counter.start(ATTACKER, RULE).wait <= 15


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_unknown_networks_count_together(counter: Counter) -> None:
    waits = [counter.start(Attempt("ann", f"198.51.100.{number}"), RULE).wait for number in range(5)]

    assert [wait > 0 for wait in waits] == [False, False, False, True, True]
    assert counter.start(Attempt("bob", "198.51.100.1"), RULE).wait == 0


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_known_network_counts_by_itself(counter: Counter) -> None:
    succeed(counter, HOME)
    for _ in range(9):
        counter.start(ATTACKER, RULE)

    at_home = [counter.start(HOME, RULE) for _ in range(4)]

    assert [started.wait > 0 for started in at_home] == [False, False, False, True]
    assert all(started.known for started in at_home)


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_success_takes_back_only_its_own_attempt(counter: Counter) -> None:
    for _ in range(2):
        counter.start(ATTACKER, RULE)
    succeed(counter, HOME)

    waits = [counter.start(ATTACKER, RULE).wait for _ in range(2)]

    assert [wait > 0 for wait in waits] == [False, True]


@pytest.mark.parametrize("known", [False, True])
def test_attempt_without_result_is_taken_back(counter: Counter, known: bool) -> None:
    if known:
        succeed(counter, HOME)
    for _ in range(9):
        started = counter.start(HOME, RULE)
        counter.take_back(HOME, RULE, known=started.known, trust=False)
        assert started == backoff.Started(0, known=known)


@pytest.mark.fault("F9")
@pytest.mark.req("A2")
def test_attempt_without_result_causes_no_wait(counter: Counter, pass_time: Callable[[int], None]) -> None:
    for _ in range(3):
        counter.start(ATTACKER, RULE)
    pass_time(15)

    for _ in range(2):
        assert counter.start(HOME, RULE).wait == 0
        counter.take_back(HOME, RULE, known=False, trust=False)

    assert counter.start(ATTACKER, RULE).wait == 0
    assert counter.start(HOME, RULE).wait > 15  # the failure of the attacker counts on


def test_success_in_known_network_forgets_its_failures(counter: Counter) -> None:
    succeed(counter, HOME)
    for _ in range(2):
        counter.start(HOME, RULE)
    succeed(counter, HOME)

    assert [counter.start(HOME, RULE).wait for _ in range(3)] == [0, 0, 0]


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_reset_ends_the_wait_and_makes_the_network_known(counter: Counter) -> None:
    for _ in range(9):
        counter.start(ATTACKER, RULE)
    counter.reset(HOME)

    assert counter.start(HOME, RULE) == backoff.Started(0, known=True)
    assert counter.start(ATTACKER, RULE).wait == 0


@pytest.mark.req("A8")
def test_reset_of_own_failures_keeps_those_of_other_networks(counter: Counter) -> None:
    for attempt in (HOME, ATTACKER, ATTACKER):
        counter.start(attempt, RULE)
    counter.reset(HOME, own=True)

    for _ in range(3):
        assert counter.start(HOME, RULE) == backoff.Started(0, known=True)
    assert counter.start(HOME, RULE).wait > 0
    counter.reset(HOME, own=True)

    assert counter.start(HOME, RULE).wait == 0
    assert counter.start(ATTACKER, RULE).wait > 0


@pytest.mark.fault("F9")
@pytest.mark.req("A8")
def test_concurrent_attempts_cannot_pass_together(counter: Counter) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: counter.start(ATTACKER, RULE).wait, range(40)))

    assert waits.count(0) == 3


def test_entries_in_redis_expire_and_hold_no_names(redis: Redis) -> None:
    counter = SharedBackoff(redis, "test")
    counter.start(ATTACKER, RULE)
    (few,) = redis.keys()
    short = redis.ttl(few)
    for _ in range(2):
        counter.start(ATTACKER, RULE)

    assert 0 < short <= 3600 < redis.ttl(few) <= 86_400
    assert "ann" not in few


@pytest.mark.req("A8")
def test_process_counts_while_redis_is_down() -> None:
    with RedisServer().start_on_a_free_port() as server:
        client = Redis.from_url(server.url, socket_timeout=5, retry=None)
        counter = Backoff(client, CircuitBreaker(60), "test")
        server.kill()

        waits = [counter.start(ATTACKER, RULE).wait for _ in range(4)]
        client.close()

    assert [wait > 0 for wait in waits] == [False, False, False, True]
