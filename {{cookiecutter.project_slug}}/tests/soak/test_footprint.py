"""Growth of memory and open files is found, and also a process that was replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.soak.footprint import Footprint, footprints, growth

BEFORE = {1: Footprint("gunicorn", 100_000, 20)}


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ({1: Footprint("gunicorn", 105_000, 30)}, ""),
        ({1: Footprint("gunicorn", 105_001, 20)}, "memory of 1 grew from 100000 to 105001 kB: gunicorn"),
        ({1: Footprint("gunicorn", 100_000, 31)}, "open files of 1 grew from 20 to 31: gunicorn"),
        ({}, "process 1 ended: gunicorn"),
        ({**BEFORE, 2: Footprint("gunicorn", 1, 1)}, "process 2 started: gunicorn"),
    ],
)
def test_growth_is_found(after: dict[int, Footprint], problem: str) -> None:
    assert growth(BEFORE, after, 0.05) == ([problem] if problem else [])


def test_open_file_is_counted() -> None:
    before = footprints([os.getpid()])[os.getpid()]
    with Path(os.devnull).open():
        during = footprints([os.getpid()])[os.getpid()]

    assert during.files == before.files + 1
    assert during.kilobytes > 10_000
