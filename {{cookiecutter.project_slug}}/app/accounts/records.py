"""The record of processing of the accounts."""

from __future__ import annotations

from app.platform.personal_data import Record

RECORDS = (
    Record(
        ("users",),
        "e-mail, name (encrypted), hash of the password, role, times",
        "the account",
        "until the erasure; without a confirmed e-mail, `UNVERIFIED_ACCOUNT_DAYS`",
        "the user, admins",
        "tests/accounts/test_admin_views.py",
    ),
    Record(
        ("user_sessions",),
        "client address, program of the client, times",
        "sign-ins that the user can end; notices about new devices",
        "30 days after their end",
        "the user",
        "tests/accounts/test_own_sessions.py",
    ),
    Record(
        ("email_changes",),
        "the new e-mail",
        "a change that waits for its confirmation",
        "25 hours",
        "the user, without the secrets",
        "tests/accounts/test_email_change.py",
    ),
    Record(
        ("user_totp", "recovery_codes"),
        "secret (encrypted), hashes of codes",
        "the second factor",
        "until the user removes it",
        "the user, without the secrets",
        "tests/accounts/test_totp.py",
    ),
)
