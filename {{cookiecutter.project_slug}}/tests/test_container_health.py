"""The container health check reports why a role is unhealthy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.servers import clean_environment, free_port


def check(role: str, folder: Path, **environment: str) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "scripts/container_health.py", role],
        cwd=ROOT,
        env=clean_environment({"TMPDIR": str(folder), **environment}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return result.returncode, (result.stdout + result.stderr).strip()


@pytest.mark.parametrize(("role", "limit"), [("worker", 30), ("beat", 90)])
def test_heartbeat_must_be_recent(role: str, limit: int, tmp_path: Path) -> None:
    missing = check(role, tmp_path)
    heartbeat = tmp_path / f"{role}.alive"
    heartbeat.touch()
    recent = check(role, tmp_path)
    old = time.time() - 10 * limit
    os.utime(heartbeat, (old, old))
    stale = check(role, tmp_path)

    assert missing == (1, f"{role}: no heartbeat file")
    assert recent == (0, f"{role}: healthy")
    assert stale[0] == 1
    assert stale[1].startswith(f"{role}: last heartbeat ")
    assert stale[1].endswith(f"the limit is {limit} s")


def test_web_without_listener_is_unhealthy(tmp_path: Path) -> None:
    status, text = check("web", tmp_path, PORT=str(free_port()))

    assert status == 1
    assert text.startswith("/health: ConnectionRefusedError")


def test_unknown_role_prints_the_usage(tmp_path: Path) -> None:
    assert check("wep", tmp_path) == (2, "usage: container_health.py web|worker|beat|flower")
