"""The record of processing of locations."""

from __future__ import annotations

from app.platform.personal_data import Record

RECORDS = (
    Record(
        ("user_locations",),
        "positions with their times",
        "the history of the user",
        "until the user deletes them",
        "the user; of the latest one also admins, and other users if it is shared",
        "tests/locations/test_active.py",
    ),
    Record(
        ("location_sharing",),
        "that the user shares the latest position",
        "consent",
        "until the user stops sharing",
        "the user",
        "tests/locations/test_active.py",
    ),
)
