"""Samples of privacy, for the tests over all features (see tests/samples.py)."""

from __future__ import annotations

FUZZ_ENDS_SESSION = ("privacy_erase",)
