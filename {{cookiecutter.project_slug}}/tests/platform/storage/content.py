"""Content of test objects, and how to read it."""

from __future__ import annotations

from app.platform.storage import PART_BYTES, Storage

LARGE = bytes(range(256)) * (2 * PART_BYTES // 256) + b"the end"  # more than two parts


def read(storage: Storage, key: str) -> bytes | None:
    """Return the content of an object; None if it does not exist."""
    try:
        with storage.open(key) as file:
            return file.read()
    except FileNotFoundError:
        return None
