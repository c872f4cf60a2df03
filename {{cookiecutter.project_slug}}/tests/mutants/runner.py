"""Run tests against mutants: each in a process of its own, forked after the libraries were imported."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.environments import ROOT
from tests.mutants.mutations import Mutant, mutated_code

TIME_LIMIT_SECONDS = 180  # an endless loop counts as noticed
NO_SUCH_TEST, NO_TESTS_COLLECTED = 4, 5  # pytest's exit codes
DRIVER_FAILED = 70
# The libraries were imported before pytest starts, so it cannot rewrite their assertions.
PYTEST = [
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb", "no"),
]
LIBRARIES = (
    "import json, sys, pytest; pytest.main(['--collect-only', '-qq', '-p', 'no:cacheprovider', 'tests/accounts']);"
    "print('\\n' + json.dumps([name for name in sys.modules if name.split('.')[0] not in"
    " ('app', 'monitoring', 'tests', '__main__', 'conftest')]))"
)


class MutantFinder(importlib.abc.MetaPathFinder):
    """Imports one module from given code."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the usual spec of the module, with a loader of the given code."""
        del target
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == self._name else None
        if spec and spec.origin:
            spec.loader = _CodeLoader(name, spec.origin, self._code)
        return spec


class _CodeLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        """Return the given code."""
        del fullname
        return self._code


def import_libraries() -> None:
    """Import what the tests import, except the service: its modules differ from mutant to mutant."""
    result = subprocess.run(
        [sys.executable, "-c", LIBRARIES], cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True
    )
    for name in json.loads(result.stdout.splitlines()[-1]):
        with suppress(ImportError):  # an alias of another module
            importlib.import_module(name)


def _environment() -> dict[str, str]:
    return {**os.environ, "TEST_DATABASE": "postgresql", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass
class _Running:
    mutant: Mutant
    folder: str
    deadline: float

    def output(self) -> str:
        """Return the end of what the process printed."""
        return Path(self.folder, "output").read_text(encoding="utf-8", errors="replace")[-3000:]


def run(tasks: Iterator[tuple[Mutant, Sequence[str]]], jobs: int, deadline: float) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant and whether a test noticed it; start none after the deadline (monotonic seconds)."""
    running: dict[int, _Running] = {}
    while True:
        while len(running) < jobs and time.monotonic() < deadline and (task := next(tasks, None)):
            mutant, tests = task
            folder = tempfile.mkdtemp(prefix="mutant-")
            running[_start(mutant, tests, folder)] = _Running(mutant, folder, time.monotonic() + TIME_LIMIT_SECONDS)
        if not running:
            return
        yield from _finished(running)
        time.sleep(0.02)


def _finished(running: dict[int, _Running]) -> Iterator[tuple[Mutant, bool]]:
    for pid, process in list(running.items()):
        if time.monotonic() > process.deadline:
            os.killpg(pid, signal.SIGKILL)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            del running[pid]
            code = os.waitstatus_to_exitcode(status)
            if code == DRIVER_FAILED:
                raise RuntimeError(f"The tests of {process.mutant} could not be started:\n{process.output()}")
            shutil.rmtree(process.folder, ignore_errors=True)
            yield process.mutant, code not in (0, NO_SUCH_TEST, NO_TESTS_COLLECTED)


def _start(mutant: Mutant, tests: Sequence[str], folder: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = DRIVER_FAILED
    try:
        os.setsid()
        output = os.open(f"{folder}/output", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = _test(mutant, tests, folder)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def _test(mutant: Mutant, tests: Sequence[str], folder: str) -> int:
    os.chdir(ROOT)
    os.environ.update(_environment())
    file = ROOT / mutant.path
    name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    code = mutated_code(file.read_text(encoding="utf-8"), mutant.number, str(file))
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, MutantFinder(name, code))
    try:
        importlib.import_module("tests.conftest")
    except Exception:  # noqa: BLE001 - a mutant may raise anything
        return 1  # the app cannot be imported, so every test would fail
    return int(pytest.main([*PYTEST, "--basetemp", str(Path(folder) / "pytest"), *tests]))
