"""The record of processing of data files."""

from __future__ import annotations

from app.platform.personal_data import Record

RECORDS = (
    Record(
        ("data_files", "test_history"),
        "names, sizes and SHA-256 of files; reports with column names, without values",
        "files of the user, and their tests",
        "files until the user deletes them, tests until the erasure",
        "the user",
        "tests/data_files/test_views.py",
    ),
    Record(
        ("storage: content of files",),
        "the content of files",
        "files of the user",
        "until the user deletes the file; without a row, `QUARANTINE_DAYS`",
        "the user, operators",
        "tests/data_files/test_orphans.py",
    ),
)
