"""The template's source is a valid project as it stands: the service's own commands pass on it, unrendered.

On SQLite, which takes the shorter time: the default bake, which differs by a few names, is tested on both databases.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ServiceMake
from source_copy import SOURCE_NAME


@pytest.mark.req("T5")
@pytest.mark.parametrize("target", ["check", "test-sqlite"])
def test_the_unrendered_source_passes_its_own(target: str, template: Path, make_service: ServiceMake) -> None:
    make_service(target, template / SOURCE_NAME)
