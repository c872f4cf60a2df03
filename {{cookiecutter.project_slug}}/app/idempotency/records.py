"""The record of processing of idempotency keys."""

from __future__ import annotations

from app.platform.personal_data import Record

RECORDS = (
    Record(
        ("idempotency_keys",),
        "hash of the key, answer (encrypted)",
        "repeated requests have one effect",
        "`IDEMPOTENCY_KEY_SECONDS`",
        "only the service",
        "tests/idempotency/test_expiry.py",
    ),
)
