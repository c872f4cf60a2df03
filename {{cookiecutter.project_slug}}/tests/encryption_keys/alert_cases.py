"""Cases for the alerts of encryption keys."""

from __future__ import annotations

from tests.monitoring.alert_cases import AlertCase

KEY_AGE = 'encryption_key_age_days{job="worker", instance="a:9100"}'

CASES = (
    AlertCase(
        "EncryptionKeyOverdue", {KEY_AGE: "91 _x120"}, fires=True, minutes=100, labels={"job": "worker"}, value="91"
    ),
    AlertCase("EncryptionKeyOverdue", {KEY_AGE: "90x120"}, fires=False, minutes=100),
)
