"""Password hashes."""

from __future__ import annotations

from app.platform.security.passwords import hash_password, verify_password


def test_password_matches_only_its_own_hash() -> None:
    encoded = hash_password("correct horse battery")

    assert verify_password("correct horse battery", encoded)
    assert not verify_password("Correct horse battery", encoded)
    assert encoded != hash_password("correct horse battery")


def test_missing_or_invalid_hash_matches_no_password() -> None:
    assert not verify_password("not the password of any user", None)
    assert not verify_password("not the password of any user", "")
    assert not verify_password("", "")
    assert not verify_password("x", "not a hash")
