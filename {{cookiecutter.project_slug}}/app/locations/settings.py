"""Settings of locations."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import integer, rate_limit


@dataclass(frozen=True, kw_only=True)
class LocationsSettings:
    """Read and checked together with the settings of the platform."""

    MAX_POSITIONS_PER_USER: int = integer(
        1_000_000, 1, 1_000_000_000, "Positions that a user can store; more are rejected (409).", section="Locations"
    )
    RATELIMIT_LOCATIONS: str = rate_limit("120/minute", "Saving a location.")
    RATELIMIT_LOCATIONS_BATCH: str = rate_limit("20/minute", "Saving a batch of locations.")
