"""Samples of privacy, for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

FUZZ_ENDS_SESSION = ("privacy_erase",)


# The table that each action of the audit log changes; empty: the entry records an event.
AUDIT_ACTIONS = {
    "user.erased": "erasures",
    "user.data_exported": "",
}
