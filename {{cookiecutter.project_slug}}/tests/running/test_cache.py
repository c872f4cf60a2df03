"""The cache of a service of several processes: shared, counted together, and never in the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import sqlalchemy as sa
from redis import Redis

from app.redis_client import REST_SECONDS
from tests.accounts.factory import PASSWORD
from tests.running.conftest import StartWeb, Web
from tests.running.test_web import samples, total
from tests.servers import RedisServer, wait_until

pytestmark = pytest.mark.running

ACTIVE, LOCATIONS, ME = "/api/v1/locations/active", "/api/v1/locations", "/api/v1/users/me"
HERE, THERE = {"latitude": 52.5, "longitude": 13.4}, {"latitude": 48.1, "longitude": 11.6}
ACTIVE_SECONDS = 3.0


def sign_in(web: Web, name: str = "ann") -> dict[str, str]:
    """Register and sign in; returns the header to send."""
    account = {"email": f"{name}@example.org", "password": PASSWORD}
    web.post("/api/v1/auth/register", account)
    return {"Authorization": f"Bearer {web.post('/api/v1/auth/login', account).json()['access_token']}"}


def latitudes(answer: requests.Response) -> list[float]:
    assert answer.status_code == 200, answer.text
    return [item["latitude"] for item in answer.json()["items"]]


def counted(web: Web) -> dict[str, float]:
    results = ("hit", "miss", "bypass")
    return {name: total(web, "cache_requests_total", cache="locations.active", result=name) for name in results}


@pytest.mark.req("W5", "O2")
def test_four_processes_share_one_value_and_count_together(start_web: StartWeb, redis: RedisServer) -> None:
    web = start_web(redis_url=redis.url, GUNICORN_WORKERS="4")
    headers = sign_in(web)
    web.post(LOCATIONS, HERE, headers=headers)

    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: web.get(ACTIVE, headers=headers), range(40)))
    assert time.monotonic() - started < ACTIVE_SECONDS

    assert {answer.text for answer in answers} == {answers[0].text}
    assert counted(web) == {"hit": 39, "miss": 1, "bypass": 0}
    assert ({"cache": "locations.active"}, 39 / 40) in samples(web, "cache_hit_ratio")


@pytest.mark.req("W5", "A3")
def test_who_is_active_is_as_old_as_the_description_says_and_no_older(web: Web) -> None:
    headers = sign_in(web)
    web.post(LOCATIONS, HERE, headers=headers)
    first = web.get(ACTIVE, headers=headers)
    web.post(LOCATIONS, THERE, headers=headers)

    soon, another_query = web.get(ACTIVE, headers=headers), web.get(f"{ACTIVE}?minutes=6", headers=headers)
    time.sleep(ACTIVE_SECONDS + 0.1)
    later = web.get(ACTIVE, headers=headers)

    assert [latitudes(answer) for answer in (first, soon, another_query, later)] == [[52.5], [52.5], [48.1], [48.1]]
    description = web.get("/api/v1/openapi.json").json()["paths"][ACTIVE]["get"]["summary"]
    assert f"at most {ACTIVE_SECONDS:g} seconds ago" in description


@pytest.mark.req("W5", "P3")
def test_who_was_erased_is_not_shown_any_more_not_even_out_of_the_cache(web: Web) -> None:
    ann, bob = sign_in(web, "ann"), sign_in(web, "bob")
    web.post(LOCATIONS, HERE, headers=ann)
    assert latitudes(web.get(ACTIVE, headers=bob)) == [52.5]

    assert requests.delete(web.url + ME, headers=ann, timeout=10).status_code == 204

    assert latitudes(web.get(ACTIVE, headers=bob)) == []


@pytest.mark.req("W5")
def test_twenty_who_ask_at_the_same_time_cost_the_database_one_query(
    start_web: StartWeb, redis: RedisServer, migrated_database: str
) -> None:
    web = start_web(redis_url=redis.url, GUNICORN_WORKERS="4")
    headers = sign_in(web)
    web.post(LOCATIONS, HERE, headers=headers)
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    engine = sa.create_engine(migrated_database)

    with ThreadPoolExecutor(20) as pool, engine.connect() as holder, engine.connect() as watcher:
        holder.execute(sa.text("LOCK TABLE user_locations IN ACCESS EXCLUSIVE MODE"))
        asked = [pool.submit(web.get, ACTIVE, headers=headers) for _ in range(20)]
        assert wait_until(lambda: bool(watcher.scalar(waiting)), 5)
        time.sleep(0.5)  # for the others to come and wait too
        queries = watcher.scalar(waiting)
        holder.rollback()
        answers = [latitudes(future.result()) for future in asked]
    engine.dispose()

    assert queries == 1
    assert answers == [[52.5]] * 20
    assert counted(web) == {"hit": 19, "miss": 1, "bypass": 0}


@pytest.mark.parametrize("fault", [RedisServer.kill, RedisServer.pause], ids=["killed", "frozen"])
@pytest.mark.req("W5")
def test_without_redis_requests_are_answered_from_the_database_and_counted_as_bypasses(
    start_web: StartWeb, own_redis: RedisServer, fault: Callable[[RedisServer], None]
) -> None:
    web = start_web(redis_url=own_redis.url)
    headers = sign_in(web)
    web.post(LOCATIONS, HERE, headers=headers)
    web.get(ACTIVE, headers=headers)

    fault(own_redis)
    web.post(LOCATIONS, THERE, headers=headers)
    started = time.monotonic()
    answers = [latitudes(web.get(ACTIVE, headers=headers)) for _ in range(20)]
    took = time.monotonic() - started

    assert answers == [[48.1]] * 20
    assert took < 5  # each process waits for Redis once in two seconds
    assert counted(web) == {"hit": 0, "miss": 1, "bypass": 20}
    own_redis.resume() if fault is RedisServer.pause else own_redis.restart()
    time.sleep(REST_SECONDS + 0.2)
    for _ in range(2):
        web.get(f"{ACTIVE}?minutes=7", headers=headers)
    assert counted(web) == {"hit": 1, "miss": 2, "bypass": 20}


@pytest.mark.req("W5", "P3")
def test_positions_leave_redis_with_their_time(web: Web, redis: RedisServer) -> None:
    headers = sign_in(web)
    web.post(LOCATIONS, HERE, headers=headers)
    web.get(ACTIVE, headers=headers)

    with Redis.from_url(redis.url) as client:
        assert list(client.scan_iter("*:cache:*:value:*"))
        time.sleep(ACTIVE_SECONDS + 0.1)
        assert not list(client.scan_iter("*:cache:*:value:*"))
