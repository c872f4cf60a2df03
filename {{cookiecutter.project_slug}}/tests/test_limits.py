"""Rate limits: exact over any period, shared through Redis, and never gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from app import create_app
from app.accounts.models import User
from app.limits import FALLBACK, FallbackWindow, Forbidden, Limit, LocalWindow, SharedWindow, Window
from app.redis_client import Rest
from tests.accounts.factory import bearer
from tests.environments import basic_environment
from tests.servers import RedisServer

FIVE = Limit("five", 5, 60)
LOGIN, ME = "/api/v1/auth/login", "/api/v1/users/me"
WRONG = {"email": "nobody@example.org", "password": "wrong"}


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client
        client.flushdb()


@pytest.fixture(params=["shared", "local"])
def window(request: pytest.FixtureRequest, redis: Redis) -> Window:
    return SharedWindow(redis, "test") if request.param == "shared" else LocalWindow()


@pytest.mark.req("A8")
def test_so_many_and_no_more(window: Window) -> None:
    verdicts = [window.hit(FIVE, "ann") for _ in range(7)]

    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False] * 2
    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0, 0]
    assert all(59 <= verdict.reset <= 60 for verdict in verdicts)


@pytest.mark.req("A8")
def test_subjects_and_limits_count_apart(window: Window) -> None:
    for _ in range(5):
        window.hit(FIVE, "ann")

    assert window.hit(FIVE, "bob").allowed
    assert window.hit(Limit("other", 5, 60), "ann").allowed
    assert not window.hit(FIVE, "ann").allowed


@pytest.mark.req("A8")
def test_a_slot_is_free_again_when_its_time_has_passed_and_not_before(window: Window) -> None:
    two = Limit("two", 2, 1)
    window.hit(two, "ann")
    time.sleep(0.6)
    window.hit(two, "ann")

    assert not window.hit(two, "ann").allowed
    time.sleep(0.5)  # the first is now older than the period, the second is not
    assert window.hit(two, "ann").allowed
    assert not window.hit(two, "ann").allowed


@pytest.mark.req("A2", "A8")
def test_nothing_is_counted_where_a_key_forbids_it(redis: Redis) -> None:
    window = SharedWindow(redis, "test")
    window.hit(FIVE, "ann", "test:ended:7")
    redis.set("test:ended:7", 1)

    with pytest.raises(Forbidden):
        window.hit(FIVE, "ann", "test:ended:7")

    assert window.hit(FIVE, "ann").remaining == 3


@pytest.mark.req("A2", "A8")
def test_the_limit_and_the_session_are_asked_for_together(
    app: Flask, client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, headers, sent = app.extensions["redis"], bearer(app, user), []
    if server is None:
        pytest.skip("needs a Redis of the app's, which TEST_DATABASE=postgresql brings")
    send = server.execute_command

    def note(*words: Any, **options: Any) -> Any:
        sent.append(words[0])
        return send(*words, **options)

    monkeypatch.setattr(server, "execute_command", note)

    assert client.get(ME, headers=headers).status_code == 200
    assert sent.count("EVALSHA") == 1
    assert "EXISTS" not in sent


def test_a_limit_that_was_lowered_holds_at_once(window: Window) -> None:
    for _ in range(5):
        window.hit(FIVE, "ann")

    assert not window.hit(Limit("five", 2, 60), "ann").allowed


def test_counts_in_redis_end_by_themselves(redis: Redis) -> None:
    SharedWindow(redis, "test").hit(FIVE, "ann")

    (key,) = redis.keys()
    assert 0 < redis.ttl(key) <= 60


@pytest.mark.req("A8")
def test_while_redis_is_away_the_process_counts_and_says_so() -> None:
    with RedisServer().start_on_a_free_port() as server:
        client = Redis.from_url(server.url, socket_timeout=0.2, retry=None)
        window = FallbackWindow(SharedWindow(client, "test"), LocalWindow(), Rest())
        assert window.hit(FIVE, "ann").remaining == 4
        before = FALLBACK._value.get()

        server.kill()
        verdicts = [window.hit(FIVE, "ann") for _ in range(6)]

        assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False]
        assert FALLBACK._value.get() - before == 6
        client.close()


@pytest.mark.req("A8")
def test_who_is_signed_in_counts_by_user_and_not_by_address(
    app: Flask, client: FlaskClient, user: User, other_user: User
) -> None:
    first = client.get(ME, headers=bearer(app, user))
    second = client.get(ME, headers=bearer(app, user))
    other = client.get(ME, headers=bearer(app, other_user))

    assert first.headers["RateLimit-Limit"] == "200"
    remaining = [int(answer.headers["RateLimit-Remaining"]) for answer in (first, second, other)]
    assert remaining == [199, 198, 199]


@pytest.mark.req("A8", "S10")
def test_a_made_up_address_does_not_begin_a_new_count(client: FlaskClient) -> None:
    spoofs: list[dict[str, str]] = [{"X-Forwarded-For": f"192.0.2.{n}", "X-Real-IP": f"192.0.2.{n}"} for n in range(6)]

    answers = [client.post(LOGIN, json=WRONG, headers=spoof) for spoof in spoofs]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]


@pytest.mark.req("A8", "S10")
def test_behind_a_proxy_only_what_the_proxy_added_counts() -> None:
    client = create_app(basic_environment(TRUSTED_PROXIES="1")).test_client()
    spoofs = [f"192.0.2.{n}, 203.0.113.7" for n in range(6)]

    answers = [client.get(ME, headers={"X-Forwarded-For": spoof}) for spoof in spoofs]
    elsewhere = client.get(ME, headers={"X-Forwarded-For": "203.0.113.8"})

    assert answers[-1].headers["RateLimit-Remaining"] == "194"
    assert elsewhere.headers["RateLimit-Remaining"] == "199"


@pytest.mark.req("A8")
def test_addresses_of_one_subscriber_count_together() -> None:
    client = create_app(basic_environment()).test_client()

    addresses = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:1:3::1"]
    answers = [client.get(ME, environ_base={"REMOTE_ADDR": address}) for address in addresses]

    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["199", "198", "199"]


def test_limits_can_be_switched_off() -> None:
    client = create_app(basic_environment(RATELIMIT_ENABLED="false")).test_client()

    assert "RateLimit-Limit" not in client.get(ME).headers
