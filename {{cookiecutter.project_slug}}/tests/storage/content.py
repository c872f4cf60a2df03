"""Content to keep in storages, and how to read it back."""

from __future__ import annotations

from app.storage import PART_BYTES, Storage

LARGE = bytes(range(256)) * (2 * PART_BYTES // 256) + b"the end"  # more than two parts


def read(storage: Storage, key: str) -> bytes | None:
    try:
        with storage.open(key) as found:
            return found.read()
    except FileNotFoundError:
        return None
