"""Signatures of tombstones in the storage: write access to the storage alone cannot erase a user."""

from __future__ import annotations

from app.platform.security import signatures


class Signer(signatures.Signer):
    """Signs tombstones."""

    purpose = b"tombstones"
