"""Which tests can notice a mutant: those that execute its lines, the tests of its own folder first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from coverage import CoverageData

from tests.environments import ROOT
from tests.mutants.mutations import Mutant

TARGETS = (
    "app/platform/security",
    "app/platform/api/rate_limits",
    "app/platform/web/problems.py",
    "app/platform/tasks",
    "app/accounts",
    "app/api_keys",
    "app/privacy",
)
# The tests of what a module declares: they see the app as a whole.
DECLARATION_TESTS = (
    "tests/guards/test_routes.py",
    "tests/guards/test_settings.py",
    "tests/guards/test_specification.py",
    "tests/migrations/test_migrations.py",
    "tests/monitoring/test_commands.py",
    "tests/platform/api/test_openapi.py",
    "tests/platform/tasks/test_celery.py",
)
TEST_FOLDERS = ("attacks", "accounts", "admin", "api_keys", "audit", "guards", "monitoring", "privacy", "platform")
MAX_TESTS = 200

Coverage = Mapping[str, Mapping[int, Iterable[str]]]  # contexts by line, by path


def target_files() -> list[Path]:
    """Return the modules that mutants are made of; features may have been deleted."""
    paths = [ROOT / target for target in TARGETS]
    return [file for path in paths for file in ([path] if path.suffix else sorted(path.rglob("*.py")))]


def measure_coverage(file: Path, jobs: int) -> str:
    """Run the tests, write which lines each of them executes, and return pytest's summary; they must pass."""
    folders = [f"tests/{name}" for name in TEST_FOLDERS if (ROOT / "tests" / name).exists()]
    parallel = ["-n", str(jobs), "--dist", "loadfile"] if jobs > 1 else []
    options = ["-q", "-p", "no:cacheprovider", "--cov=app", "--cov-context=test", "--cov-report="]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *parallel, *folders],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE": "postgresql", "COVERAGE_FILE": str(file)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = file.with_name("pytest.log")
    output.write_text(result.stdout, encoding="utf-8")
    if result.returncode:
        failures = "\n".join(line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
        sys.exit(f"{failures}\nThe tests fail without a mutant, see {output.relative_to(ROOT)}: fix them first.")
    return result.stdout.strip().rpartition("\n")[2]


def read_coverage(file: Path) -> Coverage:
    """Return the coverage that `measure_coverage` wrote."""
    data = CoverageData(str(file))
    data.read()
    return {
        str(Path(path).relative_to(ROOT)): data.contexts_by_lineno(path)
        for path in data.measured_files()
        if Path(path).is_relative_to(ROOT)
    }


def select_tests(mutant: Mutant, coverage: Coverage) -> Sequence[str]:
    """Return the tests to run, the most likely to fail first.

    Lines that run when the app starts belong to no test: those of declarations and of the whole module run for them.
    """
    by_line = coverage.get(mutant.path, {})
    tests = _tests_of(by_line.get(line, ()) for line in mutant.lines)
    if tests:
        return _nearest(tests, mutant.path)
    declarations = [test for test in DECLARATION_TESTS if (ROOT / test).exists()]
    return [*declarations, *_nearest(_tests_of(by_line.values()), mutant.path)]


def _tests_of(lines: Iterable[Iterable[str]]) -> set[str]:
    contexts = {context for line in lines for context in line}
    return {context.rpartition("|")[0] for context in contexts if context.endswith("|run")}


def _nearest(tests: set[str], path: str) -> list[str]:
    """Return tests of the module's own folder first, then some from everywhere else; at most `MAX_TESTS`."""
    own = sorted(test for test in tests if test.startswith(own_folder(path)))[: MAX_TESTS * 3 // 4]
    others = sorted(tests.difference(own))
    step = -(-len(others) // (MAX_TESTS - len(own)))
    return own + others[:: max(1, step)]


def own_folder(path: str) -> str:
    """Return the folder of tests that mirrors a module's folder, or the closest one above it."""
    folder = Path("tests", *Path(path).parts[1:-1])
    while not (ROOT / folder).is_dir():
        folder = folder.parent
    return str(folder)
