"""Fixtures of the template's tests: a clean copy of the template, bakes of that copy, one installed service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest
from bake import ROOT, bake
from copy_source import SOURCE_NAME, copy_source

TEMPLATE_PARTS = (
    *("cookiecutter.json", "pyproject.toml", "requirements.txt", "requirements-dev.txt", "Makefile"),
    *("hooks", "scripts"),
)
COMMAND_TIMEOUT_SECONDS = 1800
MAX_FAILURE_CHARACTERS = 6000


class BakeFactory(Protocol):
    """Returns the folder of a bake with the given answers (`proxy=traefik`); bakes are cached for the session."""

    def __call__(self, *answers: str) -> Path:
        """Return the folder."""


class MakeRunner(Protocol):
    """Runs a Makefile target in a copy of a service; fails the test with the output if the target fails.

    The environment variable SERVICE_ARGS goes to the service's pytest, to select a part of its tests.
    """

    def __call__(self, service: Path, *words: str) -> None:
        """Run the target."""


def copy_template(target: Path) -> Path:
    """Copy the template without build artefacts, like a fresh clone."""
    target.mkdir(parents=True)
    for part in TEMPLATE_PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, target / part)
    copy_source(target / SOURCE_NAME)
    return target


def copy_service(service: Path, target: Path) -> Path:
    """Copy a service without its repository; `make` then installs nothing into `service_venv`."""
    shutil.copytree(service, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    for requirements in target.glob("requirements*.txt"):
        os.utime(requirements, (0, 0))  # older than the stamps of service_venv
    return target


def clean_environment(**changes: str) -> dict[str, str]:
    """Return the environment without the variables of the surrounding make and pytest, updated with `changes`."""
    prefixes = ("MAKE", "MFLAGS", "PYTEST_", "VIRTUAL_ENV", "VENV", "ARGS", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | changes


def run(command: Sequence[str], cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output; fail the test with the output if its status is not 0."""
    start = time.monotonic()
    result = subprocess.run(
        command,
        cwd=cwd,
        env=env or clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )
    print(result.stdout, f"{' '.join(command)}: {time.monotonic() - start:.1f} s", sep="\n")
    assert result.returncode == 0, (
        f"{' '.join(command)} in {cwd} exited with status {result.returncode}:\n{result.stdout[-8000:]}"
    )
    return result.stdout


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print each failure at once: a run that a time limit stops prints no summary."""
    if report.failed:
        print(f"\n{report.nodeid} failed ({report.when}):\n{report.longreprtext[-MAX_FAILURE_CHARACTERS:]}", flush=True)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A read-only copy of the template; a test that changes the template makes its own copy."""
    return copy_template(tmp_path_factory.mktemp("template") / "template")


@pytest.fixture(scope="session")
def bake_service(template: Path, tmp_path_factory: pytest.TempPathFactory) -> BakeFactory:
    """Cached bakes of the template copy; tests only read them."""

    @cache
    def bake_once(*answers: str) -> Path:
        folder = tmp_path_factory.mktemp("bake") / "service"
        bake(folder, answers, template=template)
        return folder

    return bake_once


@pytest.fixture(scope="session")
def service_venv(bake_service: BakeFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One virtual environment with the service's libraries and tools, from the service's `make install`."""
    venv = tmp_path_factory.mktemp("venv") / "venv"
    run(["make", "install", f"VENV={venv}", f"PYTHON={sys.executable}"], bake_service())
    return venv


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that all bakes share: it is keyed by content."""
    return tmp_path_factory.mktemp("mypy") / "cache"


@pytest.fixture
def run_make(service_venv: Path, mypy_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeRunner:
    """Runs a Makefile target in a copy of a service, so files that the target creates do not reach other tests."""

    def make(service: Path, *words: str) -> None:
        copy = copy_service(service, tmp_path_factory.mktemp("copy") / service.name)
        arguments = [f"ARGS={os.environ['SERVICE_ARGS']}"] if os.environ.get("SERVICE_ARGS") else []
        run(
            ["make", f"VENV={service_venv}", *words, *arguments],
            copy,
            clean_environment(MYPY_CACHE_DIR=str(mypy_cache)),
        )

    return make


@pytest.fixture
def output_folder(tmp_path: Path) -> Path:
    """An empty output folder, two levels below `tmp_path`: files that a test writes outside it are found too."""
    folder = tmp_path / "parent" / "output"
    folder.mkdir(parents=True)
    return folder
