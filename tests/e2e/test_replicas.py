"""Web replicas die under load, and nobody notices; what stops giving signs of life is found out."""

from __future__ import annotations

import json
import time

import pytest

from e2e.client import Client
from e2e.engine import (
    RECORDS,
    DockerError,
    crash,
    health,
    inspect,
    processes_of,
    signal_processes,
    wait_for_health,
    wait_until,
)
from e2e.load import Load
from e2e.stack import Stack

BACK_SECONDS = 120
FROZEN = {"web": 90, "worker": 120, "beat": 180}  # seconds until the health check of a role must have found it out


def kill_and_wait(stack: Stack, container: str, load: Load) -> float:
    """Kill a replica between two writes, and return the seconds until it was healthy again.

    A write that a replica has in its hands when it dies is answered 502, since nobody knows whether it was done: no
    proxy may repeat it. All others must succeed: those sent while the replica is away, and reads at any moment.
    """
    restarts = inspect(container, "{{.RestartCount}}")
    with load.writing:
        crash(stack.image, container)
    wait_until(
        lambda: inspect(container, "{{.RestartCount}}") != restarts, 30, "the engine did not restart the replica"
    )
    return wait_for_health(container, "healthy", BACK_SECONDS)


@pytest.mark.req("R2", "X3")
def test_three_replicas_killed_in_turn_under_load_lose_no_request(stack: Stack, ada: Client) -> None:
    before = int(stack.sql("SELECT count(*) FROM user_locations"))
    with Load(ada) as load:
        time.sleep(3)
        back = [round(kill_and_wait(stack, container, load), 1) for container in stack.containers("web")]
        time.sleep(3)
    written = int(stack.sql("SELECT count(*) FROM user_locations")) - before

    record = {
        "sent": load.sent,
        "failed": len(load.failures),
        "slowest_s": round(load.slowest, 2),
        "back_after_s": back,
    }
    (RECORDS / "replicas.json").write_text(json.dumps(record | {"written": written}), encoding="utf-8")
    assert load.failures == []
    assert load.sent > 100
    assert written > 20


@pytest.mark.req("R2", "R1")
def test_a_frozen_web_worker_or_beat_becomes_unhealthy_and_recovers(stack: Stack) -> None:
    frozen = {role: stack.containers(role)[0] for role in FROZEN}
    processes = [process for container in frozen.values() for process in processes_of(container)]

    signal_processes(stack.image, "STOP", processes)
    try:
        found = {role: wait_for_health(container, "unhealthy", FROZEN[role]) for role, container in frozen.items()}
    finally:
        signal_processes(stack.image, "CONT", processes)

    assert set(found) == set(FROZEN)
    for container in frozen.values():
        wait_for_health(container, "healthy", BACK_SECONDS)
    assert health(stack.containers("nginx")[0]) == "healthy"


@pytest.mark.req("S7", "D3")
def test_a_migration_that_fails_leaves_the_running_service_alone(stack: Stack, ada: Client) -> None:
    broken = stack.folder / "migrations" / "versions" / "99999999_broken.py"
    head = stack.sql("SELECT version_num FROM alembic_version")
    broken.write_text(f"revision, down_revision = 'broken', '{head}'\ndef upgrade():\n    1 / 0\n", encoding="utf-8")
    try:
        stack.build()
        with pytest.raises(DockerError, match="ZeroDivisionError"):
            stack.compose("run", "--rm", "migrate")
    finally:
        broken.unlink()
        stack.build()

    assert ada.get("/ready").status == 200
    assert stack.sql("SELECT version_num FROM alembic_version") == head
    stack.compose("run", "--rm", "migrate")


@pytest.mark.req("R2")
def test_data_outlives_the_containers(stack: Stack, ada: Client) -> None:
    saved = stack.sql("SELECT count(*) FROM user_locations")
    stack.execute("redis", "redis-cli", "set", "kept", "yes")

    stack.compose("down", seconds=300)
    stack.up()

    assert stack.sql("SELECT count(*) FROM user_locations") == saved
    assert stack.execute("redis", "redis-cli", "get", "kept").strip() == "yes"
    assert ada.get("/api/v1/locations").status == 200
