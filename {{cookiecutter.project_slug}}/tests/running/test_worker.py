"""A real worker and a real beat with a real web process."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from app.platform.tasks.celery import HEARTBEAT_SECONDS
from tests.environments import OPERATOR, ROOT, production_environment
from tests.running.accounts import ANN, LOGIN, REGISTER
from tests.running.conftest import WORKER, StartWorker, Web
from tests.servers import RedisServer, RunningService, free_port, wait_until

pytestmark = pytest.mark.running


@pytest.mark.req("W1")
def test_task_of_a_request_writes_a_row(web: Web, start_worker: StartWorker, migrated_database: str) -> None:
    worker = start_worker(WORKER)
    web.post(REGISTER, ANN)

    response = web.post(LOGIN, ANN, headers={"X-Request-ID": "sent-by-a-test"})

    engine = sa.create_engine(migrated_database)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        query = sa.text("SELECT last_login_at FROM users")
        assert wait_until(lambda: connection.execute(query).scalar() is not None, 300), worker.output()
    engine.dispose()
    assert wait_until(lambda: any(line["message"] == "task ends" for line in worker.lines()), 60)
    logged = [line for line in worker.lines() if line.get("task") == "accounts.record_login"]
    assert response.status_code == 200
    assert [line["message"] for line in logged] == ["task begins", "task ends"]
    assert {line["request_id"] for line in logged} == {"sent-by-a-test"}
    assert logged[-1]["state"] == "SUCCESS"
    assert "outside of application context" not in worker.output()
    assert worker.stop() == 0


@pytest.mark.req("W1")
def test_worker_continues_after_a_redis_restart(web: Web, start_worker: StartWorker, redis: RedisServer) -> None:
    worker = start_worker(WORKER)
    web.post(REGISTER, ANN)
    worker.wait_until_printed("ready.", 300)

    redis.kill()
    during = web.post(LOGIN, ANN)  # the login succeeds although its task cannot be sent
    redis.restart()

    def task_runs() -> bool:
        web.post(LOGIN, ANN, headers={"X-Request-ID": "after-the-restart"})
        return wait_until(lambda: '"request_id":"after-the-restart"' in worker.output(), 5)

    assert during.status_code == 200
    assert wait_until(task_runs, 300), worker.output()  # the breaker of Redis closes after two seconds


@pytest.mark.req("W1", "S8")
def test_health_report_shows_the_heartbeat_that_beat_sends(web: Web, start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker(WORKER)
    beat = start_worker(["beat", "--schedule", f"{tmp_path}/schedule"])
    before = web.get("/health/detailed", headers=OPERATOR).json()["worker"]

    worker.wait_until_printed('"task":"heartbeat"', HEARTBEAT_SECONDS + 300)

    assert before == {"heartbeat_age_s": None}
    assert wait_until(
        lambda: web.get("/health/detailed", headers=OPERATOR).json()["worker"]["heartbeat_age_s"] is not None, 60
    )
    assert beat.stop() == 0


@pytest.mark.req("W1")
def test_flower_requires_its_password(migrated_database: str, redis: RedisServer, tmp_path: Path) -> None:
    port, password = free_port(), secrets.token_urlsafe(48)
    file = tmp_path / "password"
    file.write_text(password)
    settings = {"FLOWER_PORT": str(port), "FLOWER_PASSWORD_FILE": str(file)}
    environment = production_environment(migrated_database, redis.url, **settings)
    page = f"http://127.0.0.1:{port}/workers"

    with RunningService(["./entrypoint.sh", "flower"], environment, folder=ROOT) as flower:
        flower.wait_until_listening(port)
        missing, wrong = requests.get(page, timeout=60), requests.get(page, auth=("flower", "wrong"), timeout=60)
        correct = requests.get(page, auth=("flower", password), timeout=60)

    assert [response.status_code for response in (missing, wrong, correct)] == [401, 401, 200]


@pytest.mark.req("W1", "S3")
def test_flower_does_not_start_without_a_password(migrated_database: str, redis: RedisServer) -> None:
    environment = production_environment(migrated_database, redis.url)

    with RunningService(["./entrypoint.sh", "flower"], environment, folder=ROOT) as flower:
        assert flower.wait() != 0
        assert "FLOWER_PASSWORD: is not set" in flower.output()
