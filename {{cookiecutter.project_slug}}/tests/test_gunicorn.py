"""Gunicorn's configuration, loaded like Gunicorn loads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ROOT, production_environment
from tests.servers.processes import clean_environment

UNUSED = "127.0.0.1:9"  # loading the configuration opens no connection
PRE_FORK = """
import gc, runpy
config = runpy.run_path("gunicorn.conf.py")
worker = type("Worker", (), {})
config["pre_fork"](type("Server", (), {"WORKERS": {}}), worker)
print(worker.slot, gc.get_freeze_count() > 10_000)
"""


def run_configuration(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run code in the folder of the service, with production settings."""
    environment = production_environment(f"postgresql://{UNUSED}/x", f"redis://{UNUSED}/0", **settings)
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environment(environment), capture_output=True, text=True, check=False
    )


def test_pre_fork_assigns_a_slot_and_freezes_loaded_objects(tmp_path: Path) -> None:
    result = run_configuration(PRE_FORK, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))

    assert result.stdout.split() == ["0", "True"], result.stderr


@pytest.mark.parametrize(
    ("address", "bind"),
    [("0.0.0.0", "0.0.0.0:8000"), ("::1", "[::1]:8000"), ("[::]", "[::]:8000"), ("0:0:0:0:0:0:0:0", "[::]:8000")],
)
def test_address_is_bound(address: str, bind: str) -> None:
    code = "import runpy; print(runpy.run_path('gunicorn.conf.py')['bind'])"

    result = run_configuration(code, BIND_ADDRESS=address)

    assert result.stdout.strip() == bind, result.stderr


@pytest.mark.req("S3")
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PROMETHEUS_MULTIPROC_DIR", "/dev/zero", "PROMETHEUS_MULTIPROC_DIR must name a writable folder: /dev/zero"),
        ("LOG_FILE", "/nowhere/app.log", "LOG_FILE is /nowhere/app.log, which cannot be written: this user"),
        ("BIND_ADDRESS", "everywhere", "BIND_ADDRESS: Must be an IP address"),
    ],
)
def test_setting_that_cannot_work_ends_the_start_in_words(name: str, value: str, message: str) -> None:
    result = run_configuration("import runpy; runpy.run_path('gunicorn.conf.py')", **{name: value})

    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
