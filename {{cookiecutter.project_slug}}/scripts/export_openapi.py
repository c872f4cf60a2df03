#!/usr/bin/env python3
"""Writes the specifications of the API to `docs/api/`; unless BREAKING=yes, refuses what breaks callers."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app
from app.openapi import describe
from app.versions import VERSIONS
from tests.contract.changes import compare

FOLDER = ROOT / "docs" / "api"


def specifications() -> dict[str, dict[str, Any]]:
    """The specification of each version, of a service with no settings but those it cannot do without."""
    app = create_app({"SECRET_KEY": secrets.token_urlsafe(48), "DATABASE_URL": "sqlite://"})
    return {version: describe(app, version) for version in VERSIONS}


def committed(version: str) -> dict[str, Any]:
    """The specification that was written last; empty if none was."""
    file = FOLDER / f"{version}.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def text(specification: dict[str, Any]) -> str:
    """A specification as it is written."""
    return json.dumps(specification, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Say what has changed, and write it."""
    fresh = specifications()
    changes = {version: compare(committed(version), fresh[version]) for version in fresh}
    for version, found in changes.items():
        print(*(f"{version}: {change}" for change in found), sep="\n", end="\n" * bool(found))
    if any(change.breaking for found in changes.values() for change in found) and os.environ.get("BREAKING") != "yes":
        sys.exit("Nothing written: this breaks callers. Make it a new version, or say BREAKING=yes if nobody is hurt.")
    FOLDER.mkdir(exist_ok=True)
    for version, specification in fresh.items():
        (FOLDER / f"{version}.json").write_text(text(specification), encoding="utf-8")


if __name__ == "__main__":
    main()
