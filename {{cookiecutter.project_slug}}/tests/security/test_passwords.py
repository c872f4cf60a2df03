"""Password hashes."""

from __future__ import annotations

from app.security.passwords import hash_password, verify_password


def test_a_password_fits_its_own_hash_only() -> None:
    encoded = hash_password("correct horse battery")

    assert verify_password("correct horse battery", encoded)
    assert not verify_password("Correct horse battery", encoded)
    assert encoded != hash_password("correct horse battery")


def test_no_hash_fits_no_password() -> None:
    assert not verify_password("nobody has this password", None)
    assert not verify_password("", "")
    assert not verify_password("x", "not a hash")
