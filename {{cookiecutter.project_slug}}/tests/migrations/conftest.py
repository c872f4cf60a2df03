"""An empty database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if os.environ.get("TEST_DATABASE") == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    database_url: str = request.getfixturevalue("empty_database")
    return database_url
