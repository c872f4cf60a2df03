"""Samples of encryption keys for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

# The table that each action of the audit log changes; or one of several; empty: the entry records an event.
AUDIT_ACTIONS = {
    "encryption.reencrypted": "users|user_totp|idempotency_keys",
}
