"""Flask commands in new processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from tests.environments import ROOT
from tests.servers import clean_environment


def flask(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a flask command in a new process."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
        cwd=ROOT,
        env=clean_environment({"FLASK_SKIP_DOTENV": "1", **environment}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
