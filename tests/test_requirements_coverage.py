"""`make requirements-coverage` finds the requirements and the faults without a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bake import ROOT
from requirements_coverage import find_tests, ids_in_list, ids_in_tests

SOURCE = """
pytestmark = [pytest.mark.req("S1"), pytest.mark.running]

@pytest.mark.fault("F7", "F8")
def test_a(): ...

@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.fault("F9")), 2])
def test_b(x): ...

@pytest.mark.req("S2")
class TestC:
    @pytest.mark.fault("F10")
    def test_d(self): ...

@pytest.mark.fault("F11")
def helper(): ...
"""


def test_marks_of_module_class_test_and_parameter_count() -> None:
    assert sorted(ids_in_tests(SOURCE)) == [
        ("F10", "test_d"),
        ("F7", "test_a"),
        ("F8", "test_a"),
        ("F9", "test_b"),
        *(("S1", name) for name in ("test_a", "test_b", "test_d")),
        ("S2", "test_d"),
    ]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("| F51 critical | one login of admin V2 |", ["F51"]),
        ("| id | what |\n|---|---|\n| T1 | D5 is later |\n- S2: text\n", ["T1", "S2"]),
        ("T1 T2, S13\nF7\n", ["T1", "T2", "S13", "F7"]),
        ("DEL and C1 are not ids, F7 is none here.", []),
    ],
)
def test_ids_stand_at_the_start_of_a_line(text: str, ids: list[str]) -> None:
    assert ids_in_list(text) == ids


@pytest.mark.parametrize(("names", "status"), [(["known"], 0), (["known", "faults", "requirements"], 1)])
def test_ids_without_a_test_are_listed(tmp_path: Path, names: list[str], status: int) -> None:
    lists = {"known": " ".join(find_tests()), "faults": "F97\nF96", "requirements": "| Z99 | nothing |"}
    files = [tmp_path / name for name in names]
    for file in files:
        file.write_text(lists[file.name], encoding="utf-8")

    command = [sys.executable, str(ROOT / "scripts/requirements_coverage.py"), *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == status, result.stderr
    assert ("Requirements without a test: Z99\nFaults without a test: F96 F97\n" in result.stdout) == bool(status)
