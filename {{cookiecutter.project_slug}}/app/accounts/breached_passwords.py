"""Passwords that are known from breaches, and therefore are in the lists of attackers.

`breached_passwords.bin` contains the first `DIGEST_BYTES` bytes of the SHA-256 of each password in lower case, sorted.
A password is looked up as the list has it, and in the form to which attackers reduce its variants.
`scripts/make_breached_passwords.py` creates it; docs/security.md names its source and its licence.
"""

from __future__ import annotations

import hashlib
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from app.platform.visible_text import without_invisible

FILE = Path(__file__).with_name("breached_passwords.bin")
DIGEST_BYTES = 5  # of a hundred thousand entries, one in ten million other passwords has the digest of an entry


def is_breached(password: str) -> bool:
    """Whether the list contains a password, in any case and width of its letters, and with blanks around it or not."""
    return any(_contains(_digest(form)) for form in {password, comparable(password)})


def comparable(password: str) -> str:
    """Return a password in NFKC, case folded, without invisible characters and surrounding blanks; never hashed."""
    folded = unicodedata.normalize("NFKC", without_invisible(password)).casefold()
    return without_invisible(unicodedata.normalize("NFKC", folded)).strip()


def _contains(wanted: bytes) -> bool:
    digests = _digests()
    position = bisect_left(range(len(digests) // DIGEST_BYTES), wanted, key=lambda index: _entry(digests, index))
    return _entry(digests, position) == wanted


def encode(passwords: Iterable[str]) -> bytes:
    """Return the content of the list of these passwords."""
    return b"".join(sorted({_digest(password) for password in passwords}))


@cache
def _digests() -> bytes:
    """Read the list when the first password is checked: 0.6 MB, in a millisecond."""
    return FILE.read_bytes()


def _entry(digests: bytes, index: int) -> bytes:
    return digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.lower().encode()).digest()[:DIGEST_BYTES]
