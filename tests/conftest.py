"""What the tests of the template share: a clean copy of it, bakes of that copy, and one installed service."""

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
from baking import ROOT, bake
from source_copy import SOURCE_NAME, copy_source

TEMPLATE_PARTS = (
    *("cookiecutter.json", "pyproject.toml", "requirements.txt", "requirements-dev.txt", "Makefile"),
    *("hooks", "scripts"),
)
COMMAND_SECONDS = 1800
SAID_AT_ONCE = 6000  # characters of a failure


class Bakery(Protocol):
    """Returns the folder of a bake with the given answers (`proxy=traefik`); each is baked once in a session."""

    def __call__(self, *answers: str) -> Path:
        """Return the folder."""


class ServiceMake(Protocol):
    """Runs a target of the Makefile in a copy of the given service; the test fails with its output if it does.

    SERVICE_ARGS goes to the service's pytest, for whoever wants less of it than all.
    """

    def __call__(self, target: str, service: Path) -> None:
        """Run it."""


def copy_template(to: Path) -> Path:
    """Copy the template without what work left in it, as a fresh clone would be."""
    to.mkdir(parents=True)
    for part in TEMPLATE_PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, to / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, to / part)
    copy_source(to / SOURCE_NAME)
    return to


def plain_environment(**changes: str) -> dict[str, str]:
    """Return this environment without what the make and pytest around these tests have put there."""
    foreign = ("MAKE", "MFLAGS", "PYTEST_", "VIRTUAL_ENV", "VENV", "ARGS", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | changes


def run(command: Sequence[str], cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command that has to succeed and return what it printed; its output is the message if it fails."""
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env or plain_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=COMMAND_SECONDS,
        check=False,
    )
    print(done.stdout, f"{' '.join(command)}: {time.monotonic() - start:.1f} s", sep="\n")
    assert done.returncode == 0, (
        f"{' '.join(command)} in {cwd} ended with status {done.returncode}:\n{done.stdout[-8000:]}"
    )
    return done.stdout


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print a failure when it comes: a run that is stopped, as by a limit of time, would end without a word of it."""
    if report.failed:
        print(f"\n{report.nodeid} failed ({report.when}):\n{report.longreprtext[-SAID_AT_ONCE:]}", flush=True)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template that nobody edits meanwhile; tests that change a template copy this one."""
    return copy_template(tmp_path_factory.mktemp("template") / "template")


@pytest.fixture(scope="session")
def baked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bakery:
    """Bakes of the clean copy, made when first asked for; tests only read them."""

    @cache
    def bake_once(*answers: str) -> Path:
        folder = tmp_path_factory.mktemp("bake") / "service"
        bake(folder, answers, template=template)
        return folder

    return bake_once


@pytest.fixture(scope="session")
def service_venv(baked: Bakery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One virtual environment with all that the service and its tools need, made by the service's own command."""
    venv = tmp_path_factory.mktemp("venv") / "venv"
    run(["make", "install", f"VENV={venv}", f"PYTHON={sys.executable}"], baked())
    return venv


@pytest.fixture
def make_service(service_venv: Path, tmp_path_factory: pytest.TempPathFactory) -> ServiceMake:
    """Runs a target of a service's Makefile in a copy of that service, as what it leaves there is nobody else's."""

    def make(target: str, service: Path) -> None:
        copy = shutil.copytree(service, tmp_path_factory.mktemp("copy") / service.name, symlinks=True)
        for requirements in copy.glob("requirements*.txt"):
            os.utime(requirements, (0, 0))  # they are those of service_venv, however new the bake is
        types = tmp_path_factory.getbasetemp() / "mypy-cache"  # mypy goes by content, so bakes can share one
        arguments = [f"ARGS={os.environ['SERVICE_ARGS']}"] if os.environ.get("SERVICE_ARGS") else []
        run(["make", target, f"VENV={service_venv}", *arguments], copy, plain_environment(MYPY_CACHE_DIR=str(types)))

    return make


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    """A folder in which whatever a test leaves can be counted."""
    folder = tmp_path / "here" / "deeper"
    folder.mkdir(parents=True)
    return folder
