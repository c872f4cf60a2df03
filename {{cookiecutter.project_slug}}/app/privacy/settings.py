"""Settings of privacy."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import integer


@dataclass(frozen=True, kw_only=True)
class PrivacySettings:
    """Read and checked together with the settings of the platform."""

    CONCURRENCY_EXPORTS: int = integer(
        1,
        1,
        64,
        "Exports of personal data that one web process creates at a time, up to 300 MB of memory each if encrypted; "
        "more fail (503).",
        section="Privacy",
    )
