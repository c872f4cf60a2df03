"""Factories of storages."""

from __future__ import annotations

from pathlib import Path

from app.platform.settings.checks import load_settings
from app.platform.storage import Storage
from tests.environments import basic_environment
from tests.servers import free_port


def make_storage(url: str, **settings: str) -> Storage:
    """Create a storage at a URL: `file:///folder`, or `s3://bucket` with the settings of its server."""
    return Storage(url, load_settings(basic_environment(STORAGE_URL=url, **settings), ()).settings)


def folder_storage(folder: Path) -> Storage:
    """Create a storage in a folder."""
    return make_storage(folder.as_uri())


def unreachable_storage() -> Storage:
    """Create a storage whose server does not exist."""
    keys = {"S3_ACCESS_KEY_ID": "id", "S3_SECRET_ACCESS_KEY": "secret"}
    return make_storage("s3://files", S3_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}", **keys)
