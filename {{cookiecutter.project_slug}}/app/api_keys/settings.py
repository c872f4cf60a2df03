"""Settings of API keys."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import integer


@dataclass(frozen=True, kw_only=True)
class ApiKeysSettings:
    """Read and checked together with the settings of the platform."""

    API_KEY_DAYS: int = integer(
        90,
        1,
        365,
        "Days until a new API key expires, unless its creator chooses another time.",
        public_because="it is a duration",
        section="API keys",
    )
    API_KEY_MAX_DAYS: int = integer(
        365,
        1,
        365,
        "Days until a new API key expires at the latest, whatever its creator chooses.",
        public_because="it is a duration",
    )
