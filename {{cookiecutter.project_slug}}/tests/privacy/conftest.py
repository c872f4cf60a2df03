"""A storage of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from app.settings import settings_of
from app.storage import Storage


@pytest.fixture
def storage(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """An empty storage, which the app uses too."""
    storage = Storage((tmp_path / "storage").as_uri(), settings_of(app))
    monkeypatch.setitem(app.extensions, "storage", storage)
    return storage
