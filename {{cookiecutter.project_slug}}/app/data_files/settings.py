"""Settings of data files."""

from __future__ import annotations

from dataclasses import dataclass

from app.platform.settings.fields import integer


@dataclass(frozen=True, kw_only=True)
class DataFilesSettings:
    """Read and checked together with the settings of the platform."""

    UPLOAD_MAX_BYTES: int = integer(
        52_428_800, 1024, 1_073_741_824, "Maximum size of an uploaded file, in bytes.", section="Data files"
    )
    MAX_STORAGE_BYTES_PER_USER: int = integer(
        1_073_741_824,
        1024,
        1_000_000_000_000_000,
        "Total size of the files of a user, in bytes; more is rejected (413).",
    )
    MAX_UNFINISHED_TESTS_PER_USER: int = integer(
        3,
        1,
        1000,
        "Tests of a user that wait or run at a time; more are rejected (429), so that other tasks get a turn.",
    )
    CONCURRENCY_UPLOADS: int = integer(
        2,
        1,
        64,
        "Uploads that one web process receives at a time; more fail (503). Each needs UPLOAD_MAX_BYTES in /tmp.",
    )
    MAX_ORPHANS_PERCENT: int = integer(
        10,
        1,
        100,
        "Share of stored files without a row, in percent, above which none is quarantined: is the database right?",
    )
    QUARANTINE_DAYS: int = integer(
        7, 1, 365, "Days after which a stored file without a row is deleted from the quarantine."
    )
    TEST_RUN_STALE_SECONDS: int = integer(
        60, 2, 3600, "Seconds without a heartbeat after which another worker takes over a test run."
    )
