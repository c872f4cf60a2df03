"""Records the SQL statements that an engine sends, and listens to every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


@contextmanager
def recorded_statements(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """Yield a list; each statement sent in the `with` block is added to it, with its parameters."""
    statements: list[tuple[str, Any]] = []

    def record(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", record)


@contextmanager
def listening_to_every_engine(event: str, listener: Callable[..., None]) -> Iterator[None]:
    """Call a listener for an event of every engine in the `with` block."""
    sa.event.listen(sa.Engine, event, listener)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, event, listener)
        sa.Engine._has_events = False  # `remove` leaves it, and each engine would look for listeners from now on
