"""Gunicorn's configuration, loaded like Gunicorn loads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_pre_fork_assigns_a_slot_and_freezes_loaded_objects(tmp_path: Path) -> None:
    urls = (f"postgresql://{UNUSED}/x", f"redis://{UNUSED}/0")
    environment = clean_environment(production_environment(*urls, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)))
    command = [sys.executable, "-c", PRE_FORK]

    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert result.stdout.split() == ["0", "True"], result.stderr
