"""Random values for sample rows; each value identifies the row that contains it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta


def unique_number() -> int:
    """Return a random integer of nine digits; it fits in 32 bits."""
    return secrets.randbelow(9 * 10**8) + 10**8


def unique_text() -> str:
    """Return 16 random hexadecimal digits."""
    return secrets.token_hex(8)


def unique_time() -> datetime:
    """Return a random UTC time in the past, to the microsecond."""
    return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(microseconds=unique_number() * 1_000_003)
