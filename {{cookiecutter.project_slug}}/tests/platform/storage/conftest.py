"""Storage in a folder and in a bucket, for tests of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.platform.storage import Storage
from tests.platform.storage.factory import make_storage
from tests.servers import S3Server, start_s3


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with start_s3() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def storage_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """The settings of a new, empty storage."""
    if request.param == "folder":
        return {"STORAGE_URL": (tmp_path / "a folder").as_uri()}
    server: S3Server = request.getfixturevalue("s3")
    return {**server.environment, "STORAGE_URL": f"s3://files/{tmp_path.name}"}


@pytest.fixture
def storage(storage_settings: Mapping[str, str]) -> Storage:
    settings = dict(storage_settings)
    return make_storage(settings.pop("STORAGE_URL"), **settings)
