"""Password hashes: argon2id with OWASP's parameters (Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Verified if there is no account: the response time must not reveal whether there is one.
_dummy_hash = _hasher.hash("not the password of any user")


def hash_password(password: str) -> str:
    """Return an encoded hash with a new salt."""
    return _hasher.hash(password)


def verify_password(password: str, encoded: str | None) -> bool:
    """Whether the password matches the hash; takes the same time if there is no hash, or an empty one."""
    try:
        return _hasher.verify(encoded or _dummy_hash, password) and bool(encoded)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(encoded: str) -> bool:
    """Whether a hash was created with weaker parameters than the current ones."""
    return _hasher.check_needs_rehash(encoded)
