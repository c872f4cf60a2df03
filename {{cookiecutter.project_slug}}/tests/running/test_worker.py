"""A real worker and a real beat, fed by a real web process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from app.worker import HEARTBEAT_SECONDS
from tests.accounts.factory import PASSWORD
from tests.environments import OPERATOR, ROOT, production_environment
from tests.running.conftest import Web
from tests.servers import RedisServer, RunningService, free_port, wait_until

pytestmark = pytest.mark.running

ANN = {"email": "ann@example.org", "password": PASSWORD}
WORKER = ["worker", "--loglevel", "INFO", "--concurrency", "1"]


@pytest.mark.req("W1")
def test_a_task_that_a_request_sent_writes_a_row(
    web: Web, start_worker: Callable[..., RunningService], migrated_database: str
) -> None:
    worker = start_worker(WORKER)
    web.post("/api/v1/auth/register", ANN)

    answer = web.post("/api/v1/auth/login", ANN, headers={"X-Request-ID": "sent-by-a-test"})

    engine = sa.create_engine(migrated_database)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        query = sa.text("SELECT last_login_at FROM users")
        assert wait_until(lambda: connection.execute(query).scalar() is not None, 30), worker.output()
    engine.dispose()
    assert wait_until(lambda: any(line["message"] == "task ends" for line in worker.lines()), 5)
    spoken = [line for line in worker.lines() if line.get("task") == "accounts.note_login"]
    assert answer.status_code == 200
    assert [line["message"] for line in spoken] == ["task begins", "task ends"]
    assert {line["request_id"] for line in spoken} == {"sent-by-a-test"}
    assert spoken[-1]["state"] == "SUCCESS"
    assert "outside of application context" not in worker.output()
    assert worker.stop() == 0


@pytest.mark.req("W1")
def test_a_worker_goes_on_when_redis_comes_back(
    web: Web, start_worker: Callable[..., RunningService], redis: RedisServer, migrated_database: str
) -> None:
    worker = start_worker(WORKER)
    web.post("/api/v1/auth/register", ANN)
    worker.wait_until_printed("ready.", 30)

    redis.kill()
    during = web.post("/api/v1/auth/login", ANN)  # its task cannot be sent, and is not worth failing for
    redis.restart()
    time.sleep(3)  # the limiter asks Redis again after two seconds
    web.post("/api/v1/auth/login", ANN, headers={"X-Request-ID": "after-the-restart"})

    assert during.status_code == 200
    assert wait_until(lambda: '"request_id":"after-the-restart"' in worker.output(), 30), worker.output()


@pytest.mark.req("W1", "S8")
def test_beat_sends_the_heartbeat_and_the_health_report_shows_that_a_worker_ran_it(
    web: Web, start_worker: Callable[..., RunningService], tmp_path: object
) -> None:
    worker = start_worker(WORKER)
    beat = start_worker(["beat", "--schedule", f"{tmp_path}/schedule"])
    before = web.get("/health/detailed", headers=OPERATOR).json()["worker"]

    worker.wait_until_printed('"task":"heartbeat"', HEARTBEAT_SECONDS + 30)

    assert before == {"heartbeat_age_s": None}
    assert wait_until(
        lambda: web.get("/health/detailed", headers=OPERATOR).json()["worker"]["heartbeat_age_s"] is not None, 5
    )
    assert beat.stop() == 0


@pytest.mark.req("W1")
def test_flower_opens_to_its_password_only(migrated_database: str, redis: RedisServer, tmp_path: Path) -> None:
    port, password = free_port(), secrets.token_urlsafe(48)
    file = tmp_path / "password"
    file.write_text(password)
    settings = {"FLOWER_PORT": str(port), "FLOWER_PASSWORD_FILE": str(file)}
    environment = production_environment(migrated_database, redis.url, **settings)
    page = f"http://127.0.0.1:{port}/workers"

    with RunningService(["./entrypoint.sh", "flower"], environment, folder=ROOT) as flower:
        flower.wait_until_listening(port)
        refused, wrong = requests.get(page, timeout=10), requests.get(page, auth=("flower", "wrong"), timeout=10)
        opened = requests.get(page, auth=("flower", password), timeout=10)

    assert [answer.status_code for answer in (refused, wrong, opened)] == [401, 401, 200]


@pytest.mark.req("W1", "S3")
def test_flower_refuses_to_start_without_a_password(migrated_database: str, redis: RedisServer) -> None:
    environment = production_environment(migrated_database, redis.url)

    with RunningService(["./entrypoint.sh", "flower"], environment, folder=ROOT) as flower:
        assert flower.wait() != 0
        assert "FLOWER_PASSWORD: is not set" in flower.output()
