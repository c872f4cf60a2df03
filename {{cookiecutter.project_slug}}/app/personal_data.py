"""What the service holds about a person: each feature says how to tell it, and how to forget it.

An export and an erasure ask every feature that has registered, so neither can be complete yesterday and have a hole
today: a test walks the tables and finds those that nobody tells of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

Tell = Callable[[Session, int], Any]
Forget = Callable[[Session, int], None]


@dataclass(frozen=True)
class Holding:
    """What one feature holds: the tables, how to tell a user's part of it as JSON, how to forget it.

    `forget` works in the session's transaction and does not commit; what goes away with the user's own row, by a
    foreign key that cascades, needs none.
    """

    tables: tuple[str, ...]
    tell: Tell
    forget: Forget | None = None


def register(app: Flask, name: str, holding: Holding) -> None:
    """Have exports tell of the holding under this name, and erasures forget it."""
    _holdings(app)[name] = holding


def holdings_of(app: Flask) -> Mapping[str, Holding]:
    """Everything registered, by name."""
    return _holdings(app)


def _holdings(app: Flask) -> dict[str, Holding]:
    holdings: dict[str, Holding] = app.extensions.setdefault("personal_data", {})
    return holdings


def tell_rows(session: Session, query: sa.Select[Any], *, but: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The rows of a query over one model, with every column except those named, as times, texts and numbers."""
    return [tell_row(row, but=but) for row in session.scalars(query)]


def tell_row(row: Any, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """A model's row, with every column except those named, as times, texts and numbers."""
    return {column.key: getattr(row, column.key) for column in sa.inspect(type(row)).columns if column.key not in but}
