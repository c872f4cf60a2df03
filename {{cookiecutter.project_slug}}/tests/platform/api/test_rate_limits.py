"""Rate limits: exact over any period, shared through Redis, and kept per process while Redis is down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse
from limits.strategies import MovingWindowRateLimiter
from redis import Redis

from app import create_app
from app.accounts.models import User
from app.platform.api.rate_limits.limiter import REFUSED
from app.platform.api.rate_limits.storage import FALLBACK, RateLimitStorage
from app.platform.api.rate_limits.windows import LocalWindow, SessionRevoked, SharedWindow
from app.platform.circuit_breaker import CircuitBreaker
from app.platform.redis.client import redis_of
from app.platform.web.flask_app import ServiceFlask
from app.platform.web.request_state import RateLimitResult, request_state
from tests.accounts.factory import bearer
from tests.environments import basic_environment
from tests.servers import start_redis, wait_until

LOGIN, LOGOUT, ME = "/api/v1/auth/login", "/api/v1/auth/logout", "/api/v1/users/me"
WRONG = {"email": "unknown@example.org", "password": "wrong"}
FIVE, MINUTE = 5, 60

Window = SharedWindow | LocalWindow


@pytest.fixture(params=["shared", "local"])
def window(request: pytest.FixtureRequest, redis: Redis) -> Window:
    return SharedWindow(redis, "test") if request.param == "shared" else LocalWindow()


@pytest.fixture(params=["shared", "local"])
def limiter(request: pytest.FixtureRequest, redis: Redis) -> Iterator[MovingWindowRateLimiter]:
    client = redis if request.param == "shared" else None
    with ServiceFlask("test").test_request_context():
        yield MovingWindowRateLimiter(RateLimitStorage(redis=client, breaker=CircuitBreaker(2), prefix="test"))


@pytest.mark.req("A8")
def test_window_rejects_requests_over_the_limit(window: Window) -> None:
    results = [window.hit("ann", FIVE, MINUTE) for _ in range(7)]

    assert [result.allowed for result in results] == [True] * 5 + [False] * 2
    assert [result.remaining for result in results] == [4, 3, 2, 1, 0, 0, 0]
    assert all(50 <= result.reset <= 60 for result in results)


@pytest.mark.req("A8", "S9")
def test_preflights_are_not_counted(client: FlaskClient) -> None:
    preflights = [client.options(LOGIN) for _ in range(6)]

    response = client.post(LOGIN, json=WRONG)
    assert {preflight.status_code for preflight in preflights} == {200}
    assert not any("RateLimit-Limit" in preflight.headers for preflight in preflights)
    assert (response.status_code, response.headers["RateLimit-Remaining"]) == (401, "4")


@pytest.mark.req("A8")
def test_keys_count_separately(window: Window) -> None:
    for _ in range(5):
        window.hit("ann", FIVE, MINUTE)

    assert window.hit("bob", FIVE, MINUTE).allowed
    assert not window.hit("ann", FIVE, MINUTE).allowed


@pytest.mark.req("A8")
def test_slot_is_free_after_exactly_one_period(window: Window) -> None:
    period = 4  # seconds; both rejections have two seconds of slack
    started = time.monotonic()
    window.hit("ann", 2, period)
    time.sleep(period / 2)
    window.hit("ann", 2, period)

    assert not window.hit("ann", 2, period).allowed
    assert wait_until(lambda: window.hit("ann", 2, period).allowed, 60)
    assert time.monotonic() - started > period - 0.1
    assert not window.hit("ann", 2, period).allowed  # the second hit is younger than the period


def test_cleared_key_starts_a_new_count(window: Window) -> None:
    for key in ("ann", "bob"):
        window.hit(key, FIVE, MINUTE)

    window.clear("ann")

    assert [window.hit(key, FIVE, MINUTE).remaining for key in ("ann", "bob")] == [4, 3]


def test_reset_window_starts_new_counts(window: Window) -> None:
    for key in ("ann", "bob"):
        window.hit(key, FIVE, MINUTE)

    window.reset()

    assert [window.hit(key, FIVE, MINUTE).remaining for key in ("ann", "bob")] == [4, 4]


@pytest.mark.req("A2", "A8")
def test_request_of_revoked_session_is_not_counted(redis: Redis) -> None:
    window = SharedWindow(redis, "test")
    window.hit("ann", FIVE, MINUTE, "test:revoked:7")
    redis.set("test:revoked:7", 1)

    with pytest.raises(SessionRevoked):
        window.hit("ann", FIVE, MINUTE, "test:revoked:7")

    assert window.hit("ann", FIVE, MINUTE).remaining == 3


@pytest.mark.req("A2", "A8")
def test_limit_and_session_are_checked_in_one_round_trip(
    app: Flask, client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, headers, sent = redis_of(app), bearer(app, user), list[str]()
    if server is None:
        pytest.skip("needs the app's Redis: run with TEST_DATABASE=postgresql")
    send: Callable[..., Any] = server.execute_command

    def record(*words: Any, **options: Any) -> Any:
        sent.append(words[0])
        return send(*words, **options)

    monkeypatch.setattr(server, "execute_command", record)

    assert client.get(ME, headers=headers).status_code == 200
    assert sent.count("EVALSHA") == 1
    assert "EXISTS" not in sent


@pytest.mark.req("A2", "A8")
def test_revoked_session_counts_for_the_address(app: Flask, client: FlaskClient, user: User) -> None:
    headers = bearer(app, user)
    before = [client.get(ME, headers=headers) for _ in range(2)]
    client.post(LOGOUT, headers=headers)

    after = client.get(ME, headers=headers)

    assert [response.headers["RateLimit-Remaining"] for response in before] == ["199", "198"]
    assert (after.status_code, after.headers["RateLimit-Remaining"]) == (401, "199")


def test_lowered_limit_applies_at_once(limiter: MovingWindowRateLimiter) -> None:
    for _ in range(5):
        limiter.hit(parse("5/minute"), "ann", "five")

    assert not limiter.hit(parse("2/minute"), "ann", "five")


def test_window_stats_are_those_of_the_request(limiter: MovingWindowRateLimiter) -> None:
    limiter.hit(parse("5/minute"), "ann", "five")

    stats = limiter.get_window_stats(parse("5/minute"), "ann", "five")

    assert stats.remaining == 4
    assert 50 <= stats.reset_time - time.time() <= 60


def test_window_stats_without_a_request_are_read(limiter: MovingWindowRateLimiter) -> None:
    limiter.hit(parse("5/minute"), "ann", "five")
    request_state().rate_limit = None

    assert limiter.get_window_stats(parse("5/minute"), "ann", "five").remaining == 4
    assert limiter.get_window_stats(parse("5/minute"), "bob", "five").remaining == 5
    assert limiter.storage.check()


def test_counts_in_redis_expire(redis: Redis) -> None:
    SharedWindow(redis, "test").hit("ann", FIVE, MINUTE)

    (key,) = redis.keys()
    assert 0 < redis.ttl(key) <= 60


@pytest.mark.req("A8")
def test_process_counts_while_redis_is_down() -> None:
    with start_redis() as server, ServiceFlask("test").test_request_context():
        client = Redis.from_url(server.url, socket_timeout=5, retry=None)
        limiter = MovingWindowRateLimiter(RateLimitStorage(redis=client, breaker=CircuitBreaker(2), prefix="test"))
        assert hit(limiter).remaining == 4
        before = FALLBACK._value.get()

        server.kill()
        results = [hit(limiter) for _ in range(6)]

        assert [result.allowed for result in results] == [True] * 5 + [False]
        assert FALLBACK._value.get() - before == 6
        assert not limiter.storage.check()
        client.close()


def hit(limiter: MovingWindowRateLimiter) -> RateLimitResult:
    limiter.hit(parse("5/minute"), "ann", "five")
    result = request_state().rate_limit
    assert result
    return result


@pytest.mark.req("A8")
def test_frozen_redis_delays_only_the_first_request() -> None:
    with start_redis() as server:
        client = create_app(basic_environment(REDIS_URL=server.url, REDIS_TIMEOUT_SECONDS="4")).test_client()
        client.get(ME)
        server.pause()

        first, second = seconds(lambda: client.get(ME)), seconds(lambda: client.get(ME))
        server.resume()

        assert first > 3.5
        assert second < 3.5


def seconds(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


@pytest.mark.req("A8")
def test_authenticated_requests_count_per_user(app: Flask, client: FlaskClient, user: User, other_user: User) -> None:
    first = client.get(ME, headers=bearer(app, user))
    second = client.get(ME, headers=bearer(app, user))
    other = client.get(ME, headers=bearer(app, other_user))

    assert first.headers["RateLimit-Limit"] == "200"
    remaining = [int(response.headers["RateLimit-Remaining"]) for response in (first, second, other)]
    assert remaining == [199, 198, 199]


@pytest.mark.req("A8", "S10")
def test_spoofed_address_does_not_start_a_new_count(client: FlaskClient) -> None:
    spoofs: list[dict[str, str]] = [{"X-Forwarded-For": f"192.0.2.{n}", "X-Real-IP": f"192.0.2.{n}"} for n in range(6)]

    responses = [client.post(LOGIN, json=WRONG, headers=spoof) for spoof in spoofs]

    assert [response.status_code for response in responses] == [401] * 5 + [429]


@pytest.mark.req("A8")
def test_rejected_request_returns_a_problem_and_is_counted(client: FlaskClient) -> None:
    before = REFUSED.labels("login")._value.get()

    response = [client.post(LOGIN, json=WRONG) for _ in range(6)][-1]

    assert response.status_code == 429
    assert response.mimetype == "application/problem+json"
    assert response.headers["Retry-After"] == response.headers["RateLimit-Reset"]
    assert response.headers["RateLimit-Remaining"] == "0"
    assert REFUSED.labels("login")._value.get() - before == 1


@pytest.mark.req("A8", "S10")
def test_behind_a_proxy_only_its_own_entry_counts() -> None:
    client = create_app(basic_environment(TRUSTED_PROXIES="1")).test_client()
    spoofs = [f"192.0.2.{n}, 203.0.113.7" for n in range(6)]

    responses = [client.get(ME, headers={"X-Forwarded-For": spoof}) for spoof in spoofs]
    elsewhere = client.get(ME, headers={"X-Forwarded-For": "203.0.113.8"})

    assert responses[-1].headers["RateLimit-Remaining"] == "194"
    assert elsewhere.headers["RateLimit-Remaining"] == "199"


@pytest.mark.req("A8")
def test_ipv6_addresses_of_one_network_count_together() -> None:
    client = create_app(basic_environment()).test_client()

    addresses = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:1:3::1"]
    responses = [client.get(ME, environ_base={"REMOTE_ADDR": address}) for address in addresses]

    assert [response.headers["RateLimit-Remaining"] for response in responses] == ["199", "198", "199"]


def test_unknown_routes_and_options_are_not_counted(client: FlaskClient) -> None:
    responses = [client.get("/api/v1/nothing"), client.options(ME), client.delete(LOGIN)]

    assert [response.status_code for response in responses] == [404, 200, 405]
    assert all("RateLimit-Limit" not in response.headers for response in responses)


def test_rate_limits_can_be_disabled() -> None:
    app = create_app(basic_environment(RATELIMIT_ENABLED="false"))

    assert "RateLimit-Limit" not in app.test_client().get(ME).headers
