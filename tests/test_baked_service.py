"""What comes out of a bake passes its own checks, whatever was chosen, and its own tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Bakery, ServiceMake
from test_answers import GOOD
from test_rendering import as_arguments, every_combination

# What the checks of a service read. Options own other files, so that most of their combinations are alike in these.
READ = ("*.py", "*.sh", "*.toml", "*.ini", "*.mako", "Makefile", "Dockerfile", "requirements*.txt")

Check = Callable[[Path], None]


def digest(service: Path) -> str:
    """Return what tells services apart by the files that their checks read."""
    read = sorted(file.relative_to(service) for pattern in READ for file in service.rglob(pattern))
    found = hashlib.sha256()
    for file in read:
        found.update(f"{file}\0".encode() + hashlib.sha256((service / file).read_bytes()).digest())
    return found.hexdigest()


@pytest.fixture(scope="session")
def passed() -> set[str]:
    """Return the digests of services that have passed their checks."""
    return set()


@pytest.fixture
def check(make_service: ServiceMake, passed: set[str]) -> Check:
    """Runs the checks of a service, unless they have passed on the same files before."""

    def run(service: Path) -> None:
        found = digest(service)
        if found not in passed:
            make_service("check", service)
            passed.add(found)

    return run


def test_services_are_told_apart_by_what_their_checks_read(baked: Bakery) -> None:
    assert digest(baked()) == digest(baked("ci=gitlab"))
    assert digest(baked()) != digest(baked("python_version=3.12"))


@pytest.mark.req("T1")
@every_combination
def test_every_combination_passes_its_own_checks(
    baked: Bakery,
    check: Check,
    chosen: dict[str, str],
) -> None:
    check(baked(*as_arguments(chosen)))


@pytest.mark.req("T1")
@pytest.mark.parametrize("answers", GOOD, ids=lambda answers: ascii(answers)[:40])
def test_odd_and_extreme_answers_pass_the_checks_too(
    baked: Bakery,
    check: Check,
    answers: dict[str, str],
) -> None:
    check(baked(*as_arguments(answers)))


@pytest.mark.req("T1")
@pytest.mark.parametrize(
    "answer",
    ["python_version=3.11", "python_version=3.12", "license=Apache-2.0", "license=BSD-3-Clause", "license=Proprietary"],
)
def test_other_versions_and_licences_pass_the_checks_too(
    baked: Bakery,
    check: Check,
    answer: str,
) -> None:
    check(baked(answer))


@pytest.mark.req("T1")
def test_the_default_bake_passes_its_own_tests(baked: Bakery, make_service: ServiceMake) -> None:
    make_service("test", baked())
