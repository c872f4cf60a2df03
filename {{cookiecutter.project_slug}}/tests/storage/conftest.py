"""A folder and a bucket, for tests that hold for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.storage import Storage
from tests.data_files.factory import make_storage
from tests.servers import S3Server, start_s3


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with start_s3() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """The settings of a storage of the test's own."""
    if request.param == "folder":
        return {"STORAGE_URL": (tmp_path / "a folder").as_uri()}
    server: S3Server = request.getfixturevalue("s3")
    return {**server.environment, "STORAGE_URL": f"s3://files/{tmp_path.name}"}


@pytest.fixture
def storage(place: Mapping[str, str]) -> Storage:
    settings = dict(place)
    return make_storage(settings.pop("STORAGE_URL"), **settings)
