#!/usr/bin/env python3
"""Writes `.env.example` and `docs/settings.md` from the declarations in `app/settings.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.environment import Declaration, declarations
from app.settings import ComposeSettings, Settings

KNOWN = {**declarations(Settings), **declarations(ComposeSettings)}


def value(declaration: Declaration) -> str:
    """A default as it is written in an environment file."""
    if declaration.default in (None, ()):
        return ""
    if isinstance(declaration.default, datetime):
        return declaration.default.isoformat()
    return str(declaration.default).lower() if isinstance(declaration.default, bool) else str(declaration.default)


def need(declaration: Declaration) -> str:
    """Who cannot do without the setting."""
    if declaration.required:
        return f"needed {declaration.required}".replace("needed always", "always needed")
    return "recommended in production" if declaration.recommended else ""


def example() -> str:
    """The text of `.env.example`."""
    lines = [
        "# Every setting. `make .env` makes a .env of this, with fresh secrets.",
        "# A line without a value counts as not set; one behind a # shows the default.",
    ]
    for name, known in KNOWN.items():
        if known.section:
            lines += ["", f"# --- {known.section}"]
        notes = "; ".join(filter(None, [known.kind, need(known)]))
        # What has a default stays a comment, so that a later release can change it.
        mark = "#" if value(known) else ""
        lines += [f"# {known.purpose} ({notes})", f"{mark}{name}={value(known)}"]
    return "\n".join(lines) + "\n"


def rows() -> Iterator[str]:
    """The lines of the table in `docs/settings.md`."""
    for name, known in KNOWN.items():
        if known.section:
            yield f"\n## {known.section}\n\n| setting | default | values | purpose |\n| --- | --- | --- | --- |"
        aliases = f" (also {', '.join(known.aliases)})" if known.aliases else ""
        shown = f"`{value(known)}`" if value(known) else ""
        notes = f" **{need(known).capitalize()}.**" if need(known) else ""
        yield f"| `{name}`{aliases} | {shown} | {known.kind} | {known.purpose}{notes} |"


def reference() -> str:
    """The text of `docs/settings.md`."""
    head = (
        "# Settings\n\nRead once at start, from Vault, the environment, or the file that `NAME_FILE` points to. A "
        "process with a bad setting says everything that is wrong and exits before it listens; "
        "`scripts/check_env.py` says the same beforehand.\n\nWritten by `make settings` from `app/settings.py`."
    )
    return head + "\n" + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    (ROOT / ".env.example").write_text(example(), encoding="utf-8")
    (ROOT / "docs" / "settings.md").write_text(reference(), encoding="utf-8")
