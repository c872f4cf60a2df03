"""Files stay small enough to be read in one sitting."""

from __future__ import annotations

import pytest

from tests.environments import ROOT


@pytest.mark.req("S1")
def test_the_factory_fits_a_screen() -> None:
    assert len((ROOT / "app" / "__init__.py").read_text(encoding="utf-8").splitlines()) <= 60


def test_no_file_is_longer_than_300_lines() -> None:
    long = [
        path.relative_to(ROOT)
        for folder in ("app", "tests", "migrations", "scripts")
        for path in (ROOT / folder).rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 300
    ]

    assert not long
