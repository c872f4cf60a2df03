"""The README's first conversation, word for word, with the service as it runs in production."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.running.conftest import Web
from tests.servers import RunningService

pytestmark = pytest.mark.running


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's commands need curl")
@pytest.mark.req("A4", "A7", "P3")
def test_the_first_conversation_of_the_readme_goes_as_it_says(
    web: Web, start_worker: Callable[..., RunningService], tmp_path: Path
) -> None:
    start_worker(["worker", "--loglevel", "INFO", "--concurrency", "1"])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## A first conversation.*?```sh\n(.*?)```", readme, re.DOTALL)
    assert block

    commands = block[1].replace("http://127.0.0.1:8000", web.url)
    talk = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    said = talk.stdout
    assert talk.returncode == 0, said + talk.stderr
    assert '"type":"about:blank"' not in said, "a request was answered with a problem"
    assert '"status":"passed"' in said
    exported = said.splitlines()[-1]
    assert all(text in exported for text in ("ada@example.com", "48.2082", "readings.csv", "passed"))
