"""Settings of idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import integer


@dataclass(frozen=True, kw_only=True)
class IdempotencySettings:
    """Read and checked together with the settings of the platform."""

    IDEMPOTENCY_KEY_SECONDS: int = integer(
        86_400,
        60,
        2_592_000,
        "Seconds in which a request that is repeated with its Idempotency-Key gets the first answer.",
        public_because="it is a duration",
        section="Idempotency keys",
    )
