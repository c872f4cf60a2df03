#!/usr/bin/env python3
"""Write the OpenAPI specifications to `docs/api/`; reject breaking changes unless BREAKING=yes."""

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
from app.platform.api.openapi import describe
from app.platform.api.versions import VERSIONS
from tests.contract.changes import compare

FOLDER = ROOT / "docs" / "api"


def specifications() -> dict[str, dict[str, Any]]:
    """Return the specification of each API version, generated with only the required settings."""
    app = create_app({"SECRET_KEY": secrets.token_urlsafe(48), "DATABASE_URL": "sqlite://"})
    return {version: describe(app, version) for version in VERSIONS}


def committed(version: str) -> dict[str, Any]:
    """Return the committed specification; empty if there is none."""
    file = FOLDER / f"{version}.json"
    specification: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return specification


def text(specification: dict[str, Any]) -> str:
    """Return the text of the file of a specification."""
    return json.dumps(specification, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Print the changes and write the specifications; exit if a change is breaking and BREAKING is not yes."""
    fresh = specifications()
    changes = {version: compare(committed(version), fresh[version]) for version in fresh}
    for version, version_changes in changes.items():
        for change in version_changes:
            print(f"{version}: {change}")
    if (
        any(change.breaking for version_changes in changes.values() for change in version_changes)
        and os.environ.get("BREAKING") != "yes"
    ):
        sys.exit("Nothing written: these changes break callers. Add an API version, or run: make openapi BREAKING=yes")
    FOLDER.mkdir(exist_ok=True)
    for version, specification in fresh.items():
        (FOLDER / f"{version}.json").write_text(text(specification), encoding="utf-8")


if __name__ == "__main__":
    main()
