"""Cases for the alert of the audit log."""

from __future__ import annotations

from tests.monitoring.alert_cases import AlertCase

PROBLEMS = 'audit_log_problems{job="worker", instance="a:9100"}'

CASES = (
    AlertCase("AuditLogChanged", {PROBLEMS: "2 _x120"}, fires=True, minutes=100, labels={"job": "worker"}, value="2"),
    AlertCase("AuditLogChanged", {PROBLEMS: "2x10 0x110"}, fires=False, minutes=100),
)
