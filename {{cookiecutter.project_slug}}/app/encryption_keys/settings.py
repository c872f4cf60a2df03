"""Settings of encryption keys."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import integer


@dataclass(frozen=True, kw_only=True)
class EncryptionKeysSettings:
    """Read and checked together with the settings of the platform."""

    ENCRYPTION_KEY_DAYS: int = integer(
        90,
        1,
        3650,
        "Days after which a rotation of MASTER_ENCRYPTION_KEY is due.",
        public_because="it is a duration",
        section="Encryption keys",
    )
