"""Killed web replicas lose no request under load; frozen containers become unhealthy."""

from __future__ import annotations

import json
import time

import pytest

from e2e.client import Client
from e2e.engine import (
    RESULTS,
    DockerError,
    container_pids,
    health,
    inspect,
    kill_container,
    signal_processes,
    wait_for_health,
    wait_until,
)
from e2e.load import LoadGenerator
from e2e.stack import Stack

RECOVERY_SECONDS = 120
UNHEALTHY_WITHIN_SECONDS = {"web": 90, "worker": 120, "beat": 180}


def kill_and_wait(stack: Stack, container: str, load: LoadGenerator) -> float:
    """Kill a replica between two writes and return the seconds until it is healthy again.

    A write in flight in a killed replica returns 502: it may have been committed, so the proxy must not repeat it. All
    other requests must succeed: writes sent while the replica is down, and reads at any time.
    """
    restarts = inspect(container, "{{.RestartCount}}")
    with load.write_lock:
        kill_container(stack.image, container)
    wait_until(
        lambda: inspect(container, "{{.RestartCount}}") != restarts, 30, "the engine did not restart the replica"
    )
    return wait_for_health(container, "healthy", RECOVERY_SECONDS)


@pytest.mark.req("R2", "X3")
def test_killing_replicas_in_turn_loses_no_request(stack: Stack, user_api: Client) -> None:
    before = int(stack.sql("SELECT count(*) FROM user_locations"))
    with LoadGenerator(user_api) as load:
        time.sleep(3)
        recovery_seconds = [round(kill_and_wait(stack, container, load), 1) for container in stack.containers("web")]
        time.sleep(3)
    written = int(stack.sql("SELECT count(*) FROM user_locations")) - before

    record = {
        "sent": load.sent,
        "failed": len(load.failures),
        "slowest_s": round(load.slowest, 2),
        "recovery_s": recovery_seconds,
    }
    (RESULTS / "replicas.json").write_text(json.dumps(record | {"written": written}), encoding="utf-8")
    assert load.failures == []
    assert load.sent > 100
    assert written > 20


@pytest.mark.req("R2", "R1")
def test_frozen_container_becomes_unhealthy_and_recovers(stack: Stack) -> None:
    frozen = {role: stack.containers(role)[0] for role in UNHEALTHY_WITHIN_SECONDS}
    processes = [process for container in frozen.values() for process in container_pids(container)]

    signal_processes(stack.image, "STOP", processes)
    try:
        unhealthy = {
            role: wait_for_health(container, "unhealthy", UNHEALTHY_WITHIN_SECONDS[role])
            for role, container in frozen.items()
        }
    finally:
        signal_processes(stack.image, "CONT", processes)

    assert set(unhealthy) == set(UNHEALTHY_WITHIN_SECONDS)
    for container in frozen.values():
        wait_for_health(container, "healthy", RECOVERY_SECONDS)
    assert health(stack.containers("nginx")[0]) == "healthy"


@pytest.mark.req("S7", "D3")
def test_failed_migration_leaves_running_service_unchanged(stack: Stack, user_api: Client) -> None:
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

    assert user_api.get("/ready").status == 200
    assert stack.sql("SELECT version_num FROM alembic_version") == head
    stack.compose("run", "--rm", "migrate")


@pytest.mark.req("R2")
def test_data_survives_new_containers(stack: Stack, user_api: Client) -> None:
    saved = stack.sql("SELECT count(*) FROM user_locations")
    stack.exec("redis", "redis-cli", "set", "e2e-key", "value")

    stack.compose("down", seconds=300)
    stack.up()

    assert stack.sql("SELECT count(*) FROM user_locations") == saved
    assert stack.exec("redis", "redis-cli", "get", "e2e-key").strip() == "value"
    assert user_api.get("/api/v1/locations").status == 200
