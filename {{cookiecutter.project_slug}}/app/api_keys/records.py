"""The record of processing of API keys."""

from __future__ import annotations

from app.platform.personal_data import Record

RECORDS = (
    Record(
        ("api_keys",),
        "name, first characters and hash of the key, times",
        "programs of the user",
        "until the erasure",
        "the user, admins",
        "tests/api_keys/test_views.py",
    ),
)
