"""What comes out of a bake passes its own checks, whatever was chosen, and its own tests."""

from __future__ import annotations

import pytest
from conftest import Bakery, ServiceMake
from test_answers import GOOD
from test_rendering import as_arguments, every_combination


@pytest.mark.req("T1")
@every_combination
def test_every_combination_passes_its_own_checks(
    baked: Bakery,
    make_service: ServiceMake,
    chosen: dict[str, str],
) -> None:
    make_service("check", baked(*as_arguments(chosen)))


@pytest.mark.req("T1")
@pytest.mark.parametrize("answers", GOOD, ids=lambda answers: ascii(answers)[:40])
def test_odd_and_extreme_answers_pass_the_checks_too(
    baked: Bakery,
    make_service: ServiceMake,
    answers: dict[str, str],
) -> None:
    make_service("check", baked(*as_arguments(answers)))


@pytest.mark.req("T1")
@pytest.mark.parametrize(
    "answer",
    ["python_version=3.11", "python_version=3.12", "license=Apache-2.0", "license=BSD-3-Clause", "license=Proprietary"],
)
def test_other_versions_and_licences_pass_the_checks_too(
    baked: Bakery,
    make_service: ServiceMake,
    answer: str,
) -> None:
    make_service("check", baked(answer))


@pytest.mark.req("T1")
def test_the_default_bake_passes_its_own_tests(baked: Bakery, make_service: ServiceMake) -> None:
    make_service("test", baked())
