"""The statistics that each feature contributes for admins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from app.platform.components import platform_of

Count = Callable[[Session], Mapping[str, Any]]


class Statistics(dict[str, Count]):
    """The statistics of one app, by feature."""


def register(app: Flask, name: str, count: Count) -> None:
    """Register the function that returns the figures of one feature."""
    platform_of(app).get_or_create(Statistics)[name] = count


def statistics_of(app: Flask, session: Session) -> dict[str, Mapping[str, Any]]:
    """Return every figure, by feature."""
    return {name: count(session) for name, count in platform_of(app).get_or_create(Statistics).items()}
