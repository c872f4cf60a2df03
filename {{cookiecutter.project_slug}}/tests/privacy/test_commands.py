"""Tests of `flask erasures`."""

from __future__ import annotations

import pytest
from flask import Flask

pytestmark = pytest.mark.usefixtures("session", "storage")


def test_reapply_without_erased_users_changes_nothing(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["erasures", "reapply"])

    assert (result.exit_code, result.output) == (0, "erasures: 0 reapplied\n")
