"""Gunicorn's configuration, read as Gunicorn reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.environments import production_environment
from tests.servers.processes import clean_environment

ROOT = Path(__file__).resolve().parents[1]
NOBODY = "127.0.0.1:9"  # whom nobody has to ask here
LOOK = """
import gc, runpy
read = runpy.run_path("gunicorn.conf.py")
print(gc.isenabled())
read["when_ready"](None)
print(gc.isenabled())
read["pre_fork"](type("Server", (), {"WORKERS": {}}), type("Worker", (), {}))
print(gc.get_freeze_count() > 10_000)
"""


def test_what_is_loaded_is_not_searched_for_garbage_and_what_is_served_is() -> None:
    environment = clean_environment(production_environment(f"postgresql://{NOBODY}/x", f"redis://{NOBODY}/0"))
    command = [sys.executable, "-c", LOOK]

    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert told.stdout.split() == ["False", "True", "True"], told.stderr
