"""The alert for an audit log that was changed."""

from __future__ import annotations

from app.platform.telemetry.alerts import CRITICAL, Alert, template_variable

PROBLEMS = 'audit_log_problems{job="worker"}[26h]'  # the gauge is set once a day

ALERTS = (
    Alert(
        "AuditLogChanged",
        CRITICAL,
        f"max by (job) (last_over_time({PROBLEMS})) > 0",
        "The audit log may have been changed",
        f"The daily verification found {template_variable('$value')} problems: run flask audit-log verify.",
    ),
)
