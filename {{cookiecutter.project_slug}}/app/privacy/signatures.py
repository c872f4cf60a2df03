"""Signatures of tombstones: write access to the storage, or to the table of erasures, alone creates no tombstone."""

from __future__ import annotations

from flask import current_app

from app.platform.components import platform_of
from app.platform.security import signatures


class Signer(signatures.Signer):
    """Signs tombstones."""

    purpose = b"tombstones"


def signer() -> Signer:
    """Return the signer of the current app."""
    return platform_of(current_app).get(Signer)
