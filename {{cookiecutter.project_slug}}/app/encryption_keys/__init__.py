"""Encryption keys: their age, and the rotation of encrypted columns to a new key."""

from __future__ import annotations

from app.encryption_keys import commands, tasks
from app.encryption_keys.alerts import ALERTS
from app.encryption_keys.settings import EncryptionKeysSettings
from app.platform.feature import Feature

FEATURE = Feature(
    name="encryption_keys",
    settings=EncryptionKeysSettings,
    schedules={"encryption_keys.check": tasks.WEEK_SECONDS},
    commands=(commands.keys,),
    seeds=(commands.record_current_key,),
    alerts=ALERTS,
)
