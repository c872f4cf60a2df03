"""Several web processes share counts and limits, and no connections."""

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

from tests.accounts.factory import PASSWORD
from tests.environments import SECRETS
from tests.running.accounts import LOGIN, ME, REGISTER, log_in
from tests.running.conftest import StartWeb, Web
from tests.running.scrapes import total
from tests.servers import PostgresServer, RedisServer, wait_until

pytestmark = pytest.mark.running

WRONG = {"email": "unknown@example.org", "password": "wrong password"}


def peers(pid: int) -> set[int]:
    """Return the remote ports of the TCP connections of a process."""
    files = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    sockets = {name[8:-1] for name in files if name.startswith("socket:[")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[2].split(":")[1], 16) for row in rows if row[9] in sockets}


@pytest.mark.req("O1", "S6")
def test_counts_are_exact_when_processes_are_killed(start_web: StartWeb) -> None:
    web = start_web(GUNICORN_WORKERS="4")
    assert wait_until(lambda: len(web.process.children()) == 4, 60)

    statuses: Counter[int] = Counter()
    for round_ in range(3):
        with ThreadPoolExecutor(8) as pool:
            statuses.update(pool.map(lambda _: web.get("/api/v1/users/me").status_code, range(100)))
        if round_ < 2:
            killed = web.process.children()[round_]
            os.kill(killed, signal.SIGKILL)
            assert wait_until(lambda gone=killed: gone not in web.process.children(), 60)  # type: ignore[misc] # bound here
            assert wait_until(lambda: len(web.process.children()) == 4, 60)

    assert statuses == {401: 200, 429: 100}  # all processes share the limit of 200
    for status, count in statuses.items():
        labels = {"endpoint": ME, "method": "GET", "status": str(status)}
        assert total(web, "http_requests_total", **labels) == count
        assert total(web, "http_request_duration_seconds_count", **labels) == count
    assert total(web, "http_requests_in_progress") == 1


@pytest.mark.req("O1")
def test_metrics_folder_is_cleaned_at_start_and_stays_small(start_web: StartWeb, tmp_path: Path) -> None:
    (tmp_path / "counter_999.db").write_bytes(b"left by an earlier run")
    web = start_web(GUNICORN_WORKERS="2", PROMETHEUS_MULTIPROC_DIR=str(tmp_path))

    sizes = []
    for _ in range(4):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: web.get("/health"), range(40)))
        sizes.append(len(list(tmp_path.iterdir())))
        for child in web.process.children():
            os.kill(child, signal.SIGKILL)
        assert wait_until(lambda: len(web.process.children()) == 2 and web.get("/health").status_code == 200, 60)

    assert not (tmp_path / "counter_999.db").exists()
    assert max(sizes) <= 4 * 3  # four kinds of file for the master and each of two slots
    assert total(web, "http_requests_total", endpoint="/health") >= 160


@pytest.mark.req("S6")
def test_gunicorn_master_holds_no_server_connection(web: Web, postgres: PostgresServer, redis: RedisServer) -> None:
    headers = log_in(web)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: web.get(ME, headers=headers), range(80)))

    servers = {postgres.port, redis.port}
    workers = web.process.children()
    assert len(workers) == 2
    # Requests are distributed at random; each process receives one eventually.
    assert wait_until(
        lambda: web.get(ME, headers=headers).ok and all(servers <= peers(worker) for worker in workers), 60
    )
    assert not servers & peers(web.process.pid)


@pytest.mark.req("A8")
def test_all_processes_and_replicas_share_rate_limits(start_web: StartWeb) -> None:
    replicas = [start_web(RATELIMIT_LOGIN="5/hour") for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda n: replicas[n % 2].post(LOGIN, WRONG).status_code, range(40)))

    assert statuses == {401: 5, 429: 35}


@pytest.mark.req("A8")
def test_rate_limits_without_redis_are_per_process_and_counted(start_web: StartWeb, own_redis: RedisServer) -> None:
    web = start_web(redis_url=own_redis.url, RATELIMIT_LOGIN="5/hour")
    web.post(LOGIN, WRONG)
    own_redis.kill()

    started = time.monotonic()
    statuses = Counter(web.post(LOGIN, WRONG).status_code for _ in range(20))
    seconds = time.monotonic() - started

    assert statuses.keys() == {401, 429}
    assert 5 <= statuses[401] <= 10  # two processes, each with its own count
    assert seconds < 60
    assert total(web, "rate_limit_fallback_total") >= 20
    own_redis.restart()
    assert wait_until(lambda: web.post(LOGIN, WRONG).status_code == 401, 60)  # counted in the empty Redis again


@pytest.mark.req("A8", "S8")
def test_frozen_redis_delays_few_requests(start_web: StartWeb, own_redis: RedisServer) -> None:
    web = start_web(redis_url=own_redis.url, GUNICORN_WORKERS="1", REDIS_TIMEOUT_SECONDS="5")
    web.get(ME)
    own_redis.pause()

    started = time.monotonic()
    statuses = {web.get(ME).status_code for _ in range(20)}
    seconds = time.monotonic() - started
    own_redis.resume()

    assert statuses == {401}
    assert seconds < 60  # 20 timeouts would take 100 s


@pytest.mark.req("S12")
def test_output_is_json_with_ids_and_without_secrets(web: Web) -> None:
    email = "fault.person@example.org"
    web.post(REGISTER, {"email": email, "password": PASSWORD})
    web.post(REGISTER, {"email": email, "password": PASSWORD})
    token = web.post(LOGIN, {"email": email, "password": PASSWORD}).json()["access_token"]
    web.get(f"{ME}?password={PASSWORD}", headers={"Authorization": f"Bearer {token}", "X-Request-ID": "one-of-many"})
    web.get("/health\r\nforged", headers={"User-Agent": '"}\n{"level": "ERROR"'.replace("\n", "%0a")})
    assert wait_until(lambda: "one-of-many" in web.process.output(), 60)

    output = web.process.output()
    parsed = [json.loads(line) for line in output.splitlines()]

    assert {"level", "logger", "message", "timestamp", "service"} <= set.intersection(*(set(line) for line in parsed))
    (line,) = [line for line in parsed if line.get("request_id") == "one-of-many"]
    assert (line["status"], line["path"], line["user_id"]) == (422, ME, 1)
    for secret in (*SECRETS.values(), email, PASSWORD, token):
        assert secret not in output


@pytest.mark.req("S6")
def test_settings_determine_processes_and_threads(start_web: StartWeb) -> None:
    web = start_web(GUNICORN_WORKERS="3", GUNICORN_THREADS="2")
    assert wait_until(lambda: len(web.process.children()) == 3, 60)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: web.get("/docs"), range(200)))
    threads = [len(list(Path(f"/proc/{child}/task").iterdir())) for child in web.process.children()]

    assert len(web.process.children()) == 3
    assert all(count >= 3 for count in threads)  # the main thread and two for requests


@pytest.mark.req("S4")
def test_service_without_servers_logs_one_warning(start_web: StartWeb) -> None:
    web = start_web(APP_ENV="development", DATABASE_URL="", redis_url="")

    warnings = [line["message"] for line in web.process.lines() if line["level"] == "WARNING"]

    substitutes = "a SQLite file as the database; rate limits per process; tasks run in the process that sends them"
    assert warnings == [f"for development only: {substitutes}"]
    assert web.get("/ready").json() == {"status": "ready", "checks": {"database": "ok"}}


@pytest.mark.req("S10", "S11")
def test_chunked_body_is_read_and_rejected_if_too_large(web: Web) -> None:
    def chunks(size: int) -> Iterator[bytes]:
        yield from (b'{"email": "', b"x" * size, b'@example.org", "password": "wrong"}')

    headers = {"Content-Type": "application/json"}
    responses = [
        requests.post(web.url + LOGIN, data=chunks(size), headers=headers, timeout=60) for size in (10, 2_000_000)
    ]

    assert [response.status_code for response in responses] == [401, 413]
    assert responses[1].headers["Content-Type"] == "application/problem+json"
