"""The alert for an overdue encryption key."""

from __future__ import annotations

from app.encryption_keys.settings import EncryptionKeysSettings
from app.platform.telemetry.alerts import WARNING, Alert, template_variable

MAX_DAYS = EncryptionKeysSettings.ENCRYPTION_KEY_DAYS  # the default: the rules do not depend on the environment
KEY_AGE = 'encryption_key_age_days{job="worker"}[8d]'  # the gauge is set once a week

ALERTS = (
    Alert(
        "EncryptionKeyOverdue",
        WARNING,
        f"max by (job) (last_over_time({KEY_AGE})) > {MAX_DAYS}",
        f"The encryption key is {template_variable('$value')} days old",
        f"Replace MASTER_ENCRYPTION_KEY every {MAX_DAYS} days.",
        for_="1h",
    ),
)
