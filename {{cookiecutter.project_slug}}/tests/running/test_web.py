"""Several web processes: counted together, limited together, sharing nothing that they must not."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.accounts.factory import PASSWORD
from tests.environments import OPERATOR, SECRETS
from tests.running.conftest import StartWeb, Web
from tests.servers import PostgresServer, RedisServer, wait_until

pytestmark = pytest.mark.running

LOGIN, REGISTER, ME = "/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/users/me"
WRONG = {"email": "nobody@example.org", "password": "wrong password"}


def samples(web: Web, name: str) -> list[tuple[dict[str, str], float]]:
    text = web.get("/metrics", headers=OPERATOR).text
    families = text_string_to_metric_families(text)
    return [(sample.labels, sample.value) for family in families for sample in family.samples if sample.name == name]


def total(web: Web, name: str, **labels: str) -> float:
    return sum(value for given, value in samples(web, name) if labels.items() <= given.items())


def peers(pid: int) -> set[int]:
    """The remote ports that a process has TCP connections to."""
    files = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    sockets = {name[8:-1] for name in files if name.startswith("socket:[")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[2].split(":")[1], 16) for row in rows if row[9] in sockets}


@pytest.mark.req("O1", "S6")
def test_counts_equal_requests_over_four_processes_also_when_some_are_killed(start_web: StartWeb) -> None:
    web = start_web(GUNICORN_WORKERS="4")
    assert wait_until(lambda: len(web.process.children()) == 4, 10)

    statuses: Counter[int] = Counter()
    for round_ in range(3):
        with ThreadPoolExecutor(8) as pool:
            statuses.update(pool.map(lambda _: web.get("/api/v1/users/me").status_code, range(100)))
        if round_ < 2:
            victim = web.process.children()[round_]
            os.kill(victim, signal.SIGKILL)
            assert wait_until(lambda gone=victim: gone not in web.process.children(), 10)  # type: ignore[misc] # bound now
            assert wait_until(lambda: len(web.process.children()) == 4, 10)

    assert statuses == {401: 200, 429: 100}  # the limit of 200 holds over all processes too
    for status, count in statuses.items():
        labels = {"endpoint": ME, "method": "GET", "status": str(status)}
        assert total(web, "http_requests_total", **labels) == count
        assert total(web, "http_request_duration_seconds_count", **labels) == count
    assert total(web, "http_requests_in_progress") == 1


@pytest.mark.req("O1")
def test_the_folder_of_the_counts_is_cleaned_at_the_start_and_does_not_grow(
    start_web: StartWeb, tmp_path: Path
) -> None:
    (tmp_path / "counter_999.db").write_bytes(b"left by an earlier run")
    web = start_web(GUNICORN_WORKERS="2", PROMETHEUS_MULTIPROC_DIR=str(tmp_path))

    sizes = []
    for _ in range(4):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: web.get("/health"), range(40)))
        sizes.append(len(list(tmp_path.iterdir())))
        for child in web.process.children():
            os.kill(child, signal.SIGKILL)
        assert wait_until(lambda: len(web.process.children()) == 2 and web.get("/health").status_code == 200, 10)

    assert not (tmp_path / "counter_999.db").exists()
    assert max(sizes) <= 4 * 3  # four kinds of file for the master and each of two slots
    assert total(web, "http_requests_total", endpoint="/health") >= 160


@pytest.mark.req("S6")
def test_the_master_holds_no_connection_that_its_processes_could_share(
    web: Web, postgres: PostgresServer, redis: RedisServer
) -> None:
    account = {"email": "ann@example.org", "password": PASSWORD}
    web.post(REGISTER, account)
    headers = {"Authorization": f"Bearer {web.post(LOGIN, account).json()['access_token']}"}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: web.get(ME, headers=headers), range(80)))

    servers = {postgres.port, redis.port}
    workers = web.process.children()
    assert len(workers) == 2
    assert all(servers <= peers(worker) for worker in workers)
    assert not servers & peers(web.process.pid)


@pytest.mark.req("A8")
def test_a_limit_holds_over_all_processes_and_replicas(start_web: StartWeb, redis: RedisServer) -> None:
    replicas = [start_web(redis_url=redis.url) for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda n: replicas[n % 2].post(LOGIN, WRONG).status_code, range(40)))

    assert statuses == {401: 5, 429: 35}


@pytest.mark.req("A8")
def test_without_redis_the_service_answers_limits_hold_per_process_and_metrics_say_so(
    start_web: StartWeb, own_redis: RedisServer
) -> None:
    web = start_web(redis_url=own_redis.url)
    web.post(LOGIN, WRONG)
    own_redis.kill()

    started = time.monotonic()
    statuses = Counter(web.post(LOGIN, WRONG).status_code for _ in range(20))
    took = time.monotonic() - started

    assert statuses.keys() == {401, 429}
    assert 5 <= statuses[401] <= 10  # two processes, each with its own count
    assert took < 10
    assert total(web, "rate_limit_fallback_total") >= 20
    own_redis.restart()
    time.sleep(2.5)
    assert web.post(LOGIN, WRONG).headers["RateLimit-Remaining"] == "4"


@pytest.mark.req("A8", "S8")
def test_a_frozen_redis_costs_little(start_web: StartWeb, own_redis: RedisServer) -> None:
    web = start_web(redis_url=own_redis.url, GUNICORN_WORKERS="1")
    web.get(ME)
    own_redis.pause()

    started = time.monotonic()
    statuses = {web.get(ME).status_code for _ in range(20)}
    took = time.monotonic() - started
    own_redis.resume()

    assert statuses == {401}
    assert took < 4  # and not 20 timeouts


@pytest.mark.req("S12")
def test_everything_that_is_written_is_json_with_ids_and_without_secrets(web: Web) -> None:
    email = "planted.person@example.org"
    web.post(REGISTER, {"email": email, "password": PASSWORD})
    web.post(REGISTER, {"email": email, "password": PASSWORD})
    token = web.post(LOGIN, {"email": email, "password": PASSWORD}).json()["access_token"]
    web.get(f"{ME}?password={PASSWORD}", headers={"Authorization": f"Bearer {token}", "X-Request-ID": "one-of-many"})
    web.get("/health\r\nforged", headers={"User-Agent": '"}\n{"level": "ERROR"'.replace("\n", "%0a")})
    assert wait_until(lambda: "one-of-many" in web.process.output(), 5)

    output = web.process.output()
    parsed = [json.loads(line) for line in output.splitlines()]

    assert {"level", "logger", "message", "timestamp", "service"} <= set.intersection(*(set(line) for line in parsed))
    mine = [line for line in parsed if line.get("request_id") == "one-of-many"]
    assert len(mine) == 1, mine
    (line,) = mine
    assert (line["status"], line["path"], line["user_id"]) == (422, ME, 1)
    for secret in (*SECRETS.values(), email, PASSWORD, token):
        assert secret not in output


@pytest.mark.req("S6")
def test_as_many_processes_and_threads_as_the_settings_say(start_web: StartWeb) -> None:
    web = start_web(GUNICORN_WORKERS="3", GUNICORN_THREADS="2")
    assert wait_until(lambda: len(web.process.children()) == 3, 10)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: web.get("/docs"), range(200)))
    threads = [len(list(Path(f"/proc/{child}/task").iterdir())) for child in web.process.children()]

    assert len(web.process.children()) == 3
    assert all(count >= 3 for count in threads)  # the main one and two that serve


@pytest.mark.req("S4")
def test_a_service_without_servers_says_so_in_one_line(start_web: StartWeb, tmp_path: Path) -> None:
    web = start_web(APP_ENV="development", DATABASE_URL="", redis_url="")

    said = [line["message"] for line in web.process.lines() if line["level"] == "WARNING"]

    assert said == [
        "for development only: a SQLite file as the database; limits per process; tasks run where they are sent"
    ]
    assert web.get("/ready").json() == {"status": "ready", "checks": {"database": "ok"}}


@pytest.mark.req("S10", "S11")
def test_a_body_in_chunks_is_read_and_too_large_a_one_refused(web: Web) -> None:
    def chunks(size: int) -> Iterator[bytes]:
        yield from (b'{"email": "', b"x" * size, b'@example.org", "password": "wrong"}')

    headers = {"Content-Type": "application/json"}
    answers = [
        requests.post(web.url + LOGIN, data=chunks(size), headers=headers, timeout=10) for size in (10, 2_000_000)
    ]

    assert [answer.status_code for answer in answers] == [401, 413]
    assert answers[1].headers["Content-Type"] == "application/problem+json"
