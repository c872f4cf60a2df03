"""The record of processing of the audit log."""

from __future__ import annotations

from app.platform.personal_data import Record

RECORDS = (
    Record(
        ("audit_logs",),
        "user id, action, its target and details, client address, time",
        "evidence of access and changes",
        "not deleted with the account",
        "admins; in an export, the user",
        "tests/audit/test_recorded_actions.py",
    ),
)
