"""Password hashes: argon2id as the OWASP Password Storage Cheat Sheet has it (19 MiB, 2 passes, 1 lane)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Compared with where there is no account, so that the time to answer does not tell whether there is one.
_nobody = _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """An encoded hash with its own salt."""
    return _hasher.hash(password)


def verify_password(password: str, encoded: str | None) -> bool:
    """Whether the password belongs to the hash; takes as long when there is no hash."""
    try:
        return _hasher.verify(encoded or _nobody, password) and encoded is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(encoded: str) -> bool:
    """Whether a hash was made with weaker parameters than those of today."""
    return _hasher.check_needs_rehash(encoded)
