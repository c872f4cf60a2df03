"""Settings of the audit log."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import integer, rate_limit


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """Read and checked together with the settings of the platform."""

    AUDIT_SEAL_DELAY_SECONDS: int = integer(
        300,
        0,
        86_400,
        "Age of an entry of the audit log at which it is sealed; longer than every transaction.",
        section="Audit log",
    )
    RATELIMIT_REFUSED_ADMIN_AUDIT: str = rate_limit(
        "500/hour", "Refused calls of admin routes that the audit log records, of the whole service."
    )
