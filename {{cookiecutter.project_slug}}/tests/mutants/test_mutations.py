"""Every kind of mutant is created, and none in texts that no test should depend on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.environments import ROOT
from tests.mutants.__main__ import DOCUMENTATION, documented_equivalents, report
from tests.mutants.mutations import Mutant, mutants_of, mutated_code
from tests.mutants.selection import DECLARATION_TESTS, MAX_TESTS, own_folder, select_tests, target_files

CASES = [
    ("f(x)", {("f(x)", "pass")}),
    ("raise Error", {("raise Error", "pass")}),
    ("def f():\n    return x", {("return x", "return None")}),
    ("a.b = x", {("a.b = x", "pass")}),
    ("a = x", set()),
    ("if x:\n    y", {("if x:", "if True:"), ("if x:", "if False:"), ("y", "pass")}),
    ("while x:\n    a = y", {("while x:", "while False:")}),
    ("for x in y:\n    a = x", {("for x in y:", "for x in ():")}),
    ("a = x and y", {("x and y", "x or y"), ("x and y", "x"), ("x and y", "y")}),
    ("a = not x", {("not x", "x")}),
    ("a = x < y", {("x < y", "x <= y")}),
    ("a = x is y", {("x is y", "x is not y")}),
    ("a = x - y", {("x - y", "x + y")}),
    ("a = x if y else z", {("x if y else z", "x"), ("x if y else z", "z")}),
    ("a = [x for x in y if z]", {("z", "True")}),
    ("a = 5", {("5", "6")}),
    ("a = True", {("True", "False")}),
    ("a = 'name'", {("'name'", "'other-name'")}),
    ("a = 'a message for people'", set()),
    ("a = f(x=y)", {("x=y", "removed")}),
    ("@public\ndef f(): ...", {("public", "removed")}),
    ("@property\ndef f(): ...", set()),
    ("@dataclass(frozen=True)\nclass A: ...", set()),
    ('"""Documentation."""', set()),
    ("a: 'int' = x", set()),
    ("logger = getLogger('name')", set()),
]
PROBLEMS = "app/platform/web/problems.py"
NO_HANDLER = "app.register_error_handler(Exception, unexpected_error_response)"


@pytest.mark.parametrize(("source", "changes"), CASES)
def test_mutants_of_a_statement(source: str, changes: set[tuple[str, str]]) -> None:
    assert {(mutant.before, mutant.after) for mutant in mutants_of("app/x.py", source)} == changes


def test_mutated_code_contains_one_change() -> None:
    source = "a = [1 + 2, 3]"
    (mutant,) = [mutant for mutant in mutants_of("app/x.py", source) if mutant.before == "1 + 2"]
    values: dict[str, object] = {}

    exec(mutated_code(source, mutant.number, "app/x.py"), values)

    assert values["a"] == [-1, 3]


def test_mutants_know_their_function_and_lines() -> None:
    source = "class A:\n    def f(self):\n        g(\n            1)"

    (mutant,) = [mutant for mutant in mutants_of("app/x.py", source) if mutant.after == "pass"]

    assert (mutant.scope, mutant.lines) == ("A.f", range(3, 5))


def test_every_mutant_of_a_module_compiles() -> None:
    source = (ROOT / PROBLEMS).read_text(encoding="utf-8")

    for mutant in mutants_of(PROBLEMS, source):
        mutated_code(source, mutant.number, PROBLEMS)


def test_tests_of_a_line_come_first_from_its_own_folder() -> None:
    mutant = Mutant("app/accounts/service.py", 0, "f", range(7, 9), "x", "y")
    coverage = {
        mutant.path: {7: ["tests/audit/test_a.py::test_x|run"], 8: ["tests/accounts/test_b.py::test_y|run", ""]}
    }

    assert select_tests(mutant, coverage) == ["tests/accounts/test_b.py::test_y", "tests/audit/test_a.py::test_x"]


def test_lines_that_run_at_start_are_tested_with_their_module() -> None:
    mutant = Mutant(PROBLEMS, 0, "init_app", range(7, 8), "x", "y")
    coverage = {PROBLEMS: {7: ["", "tests/a.py::test_first|setup"], 90: ["tests/b.py::test_other|run"]}}

    assert select_tests(mutant, coverage) == [*DECLARATION_TESTS, "tests/b.py::test_other"]


def test_many_tests_are_a_sample_of_all_folders() -> None:
    mutant = Mutant(PROBLEMS, 0, "f", range(7, 8), "x", "y")
    tests = [
        f"tests/{folder}/test_a.py::test_{n:03}" for folder in ("attacks", "platform/web", "z") for n in range(200)
    ]

    selected = select_tests(mutant, {PROBLEMS: {7: [f"{test}|run" for test in tests]}})

    assert len(selected) <= MAX_TESTS
    assert {test.rpartition("/")[0] for test in selected[:10]} == {"tests/platform/web"}
    assert {test.split("/")[1] for test in selected} == {"attacks", "platform", "z"}


def test_module_belongs_to_the_folder_that_mirrors_it() -> None:
    assert own_folder("app/platform/api/rate_limits/limiter.py") == "tests/platform/api"


def test_documented_equivalents_exist() -> None:
    mutants = {
        str(mutant)
        for file in target_files()
        for mutant in mutants_of(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8"))
    }
    files = {f"`{file.relative_to(ROOT)}`" for file in target_files()}
    rows = documented_equivalents(DOCUMENTATION.read_text(encoding="utf-8"))

    unknown = [row for row in rows if row.partition(" ")[0] in files and row not in mutants]
    assert unknown == [], "the code has changed: remove the rows from docs/testing.md"


def test_survivors_are_reported_as_rows_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    mutant = Mutant("app/x.py", 0, "f", range(7, 8), "a or b", "a")

    assert report(seed=1, total=30, killed=8, survivors=[mutant, mutant]) == 1
    assert report(seed=1, total=30, killed=9, survivors=[mutant]) == 0
    output = capsys.readouterr().out

    assert "Seed 1: 10 of 30 mutants tried, 9 killed, 1 survived" in output
    row = f"| {mutant} | line 7"
    assert row in output
    assert documented_equivalents(f"{row} |") == {str(mutant)}


@pytest.mark.running
def test_runner_tells_noticed_mutants_from_others() -> None:
    script = f"""
import time
from tests.environments import ROOT
from tests.mutants import runner
from tests.mutants.mutations import mutants_of
(mutant,) = [m for m in mutants_of({PROBLEMS!r}, (ROOT / {PROBLEMS!r}).read_text()) if m.before == {NO_HANDLER!r}]
tests = ["tests/platform/web/test_problems.py", "tests/platform/web/test_cors.py", "tests/no_such_file.py"]
results = [next(runner.run(iter([(mutant, [test])]), 1, time.monotonic() + 9))[1] for test in tests]
print(results)
"""

    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.stdout.splitlines()[-1:] == ["[True, False, False]"], result.stderr
