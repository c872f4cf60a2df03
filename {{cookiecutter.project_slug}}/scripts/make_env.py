#!/usr/bin/env python3
"""Print `.env.example` with new secrets filled in; needs only the standard library."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
# The comment above a setting says that it is a random secret, because its declaration does.
RANDOM_SECRET = re.compile(r"^(#.*\(secret, at least [0-9]+ characters[;)].*\n)([A-Z0-9_]+=)$", re.MULTILINE)


def fill_secrets(example: str) -> str:
    """Return the example with a new secret for each random secret without a value."""
    return RANDOM_SECRET.sub(lambda found: f"{found[0]}{secrets.token_urlsafe(48)}", example)


if __name__ == "__main__":
    print(fill_secrets(EXAMPLE.read_text(encoding="utf-8")), end="")
