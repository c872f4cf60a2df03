"""The unrendered source is a valid project: it passes the service's own checks and tests.

A sample of the tests, on SQLite, shows that the source can be worked on. The default bake, which differs in a few
names, passes all of them on both databases.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MakeRunner
from copy_source import SOURCE_NAME

SAMPLE = "ARGS=tests/guards tests/accounts tests/locations tests/platform/settings"


@pytest.mark.req("T5")
@pytest.mark.parametrize("words", [("check",), ("test-sqlite", SAMPLE)], ids=["check", "test-sqlite"])
def test_unrendered_source_passes_make_target(words: tuple[str, ...], template: Path, run_make: MakeRunner) -> None:
    run_make(template / SOURCE_NAME, *words)
