"""The first requests of the README work with the service as in production."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.running.conftest import WORKER, StartWorker, Web

pytestmark = pytest.mark.running


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's commands need curl")
@pytest.mark.req("A4", "A7", "P3")
def test_first_requests_of_the_readme_succeed(web: Web, start_worker: StartWorker, tmp_path: Path) -> None:
    start_worker(WORKER)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## First requests.*?```sh\n(.*?)```", readme, re.DOTALL)
    assert block

    commands = block[1].replace("http://127.0.0.1:8000", web.url)
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    output = result.stdout
    assert result.returncode == 0, output + result.stderr
    assert '"type":"about:blank"' not in output, "a response is a problem"
    assert '"status":"passed"' in output or "/tests" not in commands
    sent = [text for text in ("ada@example.com", "48.2082", "readings.csv", "passed") if text in commands]
    assert all(text in output.splitlines()[-1] for text in sent)
