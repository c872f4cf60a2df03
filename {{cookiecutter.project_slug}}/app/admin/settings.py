"""Settings of the statistics."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import rate_limit


@dataclass(frozen=True, kw_only=True)
class AdminSettings:
    """Read and checked together with the settings of the platform."""

    RATELIMIT_ADMIN_STATS: str = rate_limit("100/hour", "Admins: reading the statistics.", section="Admin")
