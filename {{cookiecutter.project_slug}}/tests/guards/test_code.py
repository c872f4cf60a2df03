"""The files of the repository follow the rules of `code_rules`."""

from __future__ import annotations

import pytest

from app.features import FEATURES
from tests.environments import ROOT
from tests.guards import code_rules


@pytest.mark.req("S1")
def test_files_are_short() -> None:
    assert code_rules.size_problems(ROOT) == []


def test_platform_names_no_feature() -> None:
    assert code_rules.platform_problems(ROOT, code_rules.feature_patterns(FEATURES)) == []


def test_every_module_is_in_a_feature_or_the_platform() -> None:
    assert code_rules.placement_problems(ROOT) == []


def test_every_feature_is_registered() -> None:
    assert code_rules.registration_problems(ROOT, FEATURES) == []


def test_documentation_names_existing_files() -> None:
    assert code_rules.documentation_problems(ROOT) == []


def test_runbook_names_existing_panels() -> None:
    assert code_rules.panel_problems(ROOT) == []
