"""What admins are told in figures: each feature says how to count its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

Count = Callable[[Session], Mapping[str, Any]]


def register(app: Flask, name: str, count: Count) -> None:
    """Have the statistics show what `count` returns under this name."""
    app.extensions.setdefault("statistics", {})[name] = count


def statistics_of(app: Flask, session: Session) -> dict[str, Mapping[str, Any]]:
    """Every figure, by feature."""
    counts: dict[str, Count] = app.extensions.get("statistics", {})
    return {name: count(session) for name, count in counts.items()}
