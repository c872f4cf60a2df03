"""The unrendered source is a valid project: it passes the service's own checks and tests.

The tests run on SQLite only, which is faster. The default bake, which differs in a few names, is tested on both
databases.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MakeRunner
from copy_source import SOURCE_NAME


@pytest.mark.req("T5")
@pytest.mark.parametrize("target", ["check", "test-sqlite"])
def test_unrendered_source_passes_make_target(target: str, template: Path, run_make: MakeRunner) -> None:
    run_make(target, template / SOURCE_NAME)
