"""A storage of each test's own, and somebody who is signed in."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from app.accounts.models import User
from app.storage import Storage
from tests.accounts.factory import bearer
from tests.data_files.factory import folder_storage


@pytest.fixture
def storage(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The app's storage: an empty folder."""
    app.extensions["celery"].set_current()  # another app of an earlier test may have taken its place
    storage = folder_storage(tmp_path / "storage")
    monkeypatch.setitem(app.extensions, "storage", storage)
    return storage


@pytest.fixture
def headers(app: Flask, user: User) -> dict[str, str]:
    return bearer(app, user)
