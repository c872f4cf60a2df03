"""No process of the service grows with the number of requests; the processes run without containers."""

from __future__ import annotations

import pytest
from conftest import BakeFactory, MakeRunner


@pytest.mark.req("X3")
@pytest.mark.fault("F12")
def test_memory_and_open_files_stay_flat_for_50000_requests(bake_service: BakeFactory, run_make: MakeRunner) -> None:
    run_make(bake_service(), "soak")
