"""A separate storage for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.platform.storage import Storage
from tests.conftest import ReplaceComponent
from tests.platform.storage.factory import folder_storage


@pytest.fixture
def storage(tmp_path: Path, replace_component: ReplaceComponent) -> Storage:
    """The app's storage, an empty folder."""
    storage = folder_storage(tmp_path / "storage")
    replace_component(storage)
    return storage
