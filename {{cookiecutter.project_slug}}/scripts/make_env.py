#!/usr/bin/env python3
"""Prints `.env.example` with fresh secrets filled in; needs nothing but Python."""

from __future__ import annotations

import secrets
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
SECRETS = (
    "SECRET_KEY",
    "JWT_SECRET_KEY",
    "MASTER_ENCRYPTION_KEY",
    "METRICS_TOKEN",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "FLOWER_PASSWORD",
    "GRAFANA_PASSWORD",
)


def filled(line: str) -> str:
    """The line with a value, if it is that of a secret that has none."""
    name, _, value = line.partition("=")
    return f"{name}={secrets.token_urlsafe(48)}" if name in SECRETS and not value else line


if __name__ == "__main__":
    print("\n".join(filled(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()))
