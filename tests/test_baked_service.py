"""A baked service passes its own checks with every combination of options, and its own tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BakeFactory, MakeRunner
from test_answers import VALID_ANSWERS
from test_rendering import as_arguments, every_combination

# The files that a service's checks read. Most options own other files, so most combinations are equal in these.
CHECKED_FILES = ("*.py", "*.sh", "*.toml", "*.ini", "*.mako", "Makefile", "Dockerfile", "requirements*.txt")

Check = Callable[[Path], None]


def digest(service: Path) -> str:
    """Return a hash of the files that the service's checks read."""
    files = sorted(file.relative_to(service) for pattern in CHECKED_FILES for file in service.rglob(pattern))
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file}\0".encode() + hashlib.sha256((service / file).read_bytes()).digest())
    return total.hexdigest()


@pytest.fixture(scope="session")
def passed_digests() -> set[str]:
    """The digests of services that passed their checks."""
    return set()


@pytest.fixture
def check(run_make: MakeRunner, passed_digests: set[str]) -> Check:
    """Runs the checks of a service, unless they passed on the same files before."""

    def run(service: Path) -> None:
        service_digest = digest(service)
        if service_digest not in passed_digests:
            run_make(service, "check")
            passed_digests.add(service_digest)

    return run


def test_digest_depends_on_checked_files_only(bake_service: BakeFactory) -> None:
    assert digest(bake_service()) == digest(bake_service("ci=gitlab"))
    assert digest(bake_service()) != digest(bake_service("python_version=3.12"))


@pytest.mark.req("T1")
@every_combination
def test_every_option_combination_passes_own_checks(
    bake_service: BakeFactory,
    check: Check,
    options: dict[str, str],
) -> None:
    check(bake_service(*as_arguments(options)))


@pytest.mark.req("T1")
@pytest.mark.parametrize("answers", VALID_ANSWERS, ids=lambda answers: ascii(answers)[:40])
def test_extreme_answers_pass_own_checks(
    bake_service: BakeFactory,
    check: Check,
    answers: dict[str, str],
) -> None:
    check(bake_service(*as_arguments(answers)))


@pytest.mark.req("T1")
@pytest.mark.parametrize(
    "answer",
    ["python_version=3.11", "python_version=3.12", "license=Apache-2.0", "license=BSD-3-Clause", "license=Proprietary"],
)
def test_other_versions_and_licences_pass_own_checks(
    bake_service: BakeFactory,
    check: Check,
    answer: str,
) -> None:
    check(bake_service(answer))


@pytest.mark.req("T1")
def test_default_bake_passes_own_tests(bake_service: BakeFactory, run_make: MakeRunner) -> None:
    run_make(bake_service(), "test")
