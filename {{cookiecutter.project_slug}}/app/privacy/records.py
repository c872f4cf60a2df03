"""The record of processing of privacy, and the places of the platform."""

from __future__ import annotations

from app.platform.personal_data import Record

RECORDS = (
    Record(
        ("erasures", "storage: erasures/"),
        "id of an erased user, times, ids of the sessions that ended",
        "a restored backup must not bring the user back",
        "not deleted",
        "operators",
        "tests/privacy/test_tombstones.py",
    ),
    Record(
        ("Redis",),
        "counters by user id and client network, ids of ended sessions, cached answers",
        "rate limits, waits after failed sign-ins, speed",
        "minutes; networks that signed in to an account: 30 days",
        "operators",
        "tests/accounts/test_sign_ins.py",
    ),
    Record(
        ("queue of tasks",),
        "user ids; of tasks that send e-mails, the address",
        "background work",
        "until the task is done",
        "operators",
        "tests/accounts/test_email_delivery.py",
    ),
    Record(
        ("logs",),
        "client address, user id, path without the query, request id",
        "operation, investigation of attacks",
        "files: `LOG_MAX_BYTES` and `LOG_BACKUPS`; Loki: 30 days",
        "operators",
        "tests/platform/telemetry/test_redaction.py",
    ),
    Record(
        ("traces, error reports",),
        "path, statements without parameters, request id",
        "operation",
        "as their backend keeps them",
        "operators",
        "tests/platform/telemetry/test_sentry.py",
    ),
    Record(
        ("metrics",),
        "nothing about single people: labels are routes and methods",
        "operation",
        "35 days",
        "operators",
        "tests/guards/test_routes.py",
    ),
    Record(
        ("e-mails",),
        "e-mail, links, events of the account",
        "verification, new passwords, notices",
        "as the mail server keeps them",
        "the user",
        "tests/accounts/test_notices.py",
    ),
    Record(
        ("backups",),
        "a copy of the database and the storage",
        "recovery",
        "as you keep them; erased users are erased again after a restore",
        "operators",
        "tests/privacy/test_commands.py",
    ),
)
