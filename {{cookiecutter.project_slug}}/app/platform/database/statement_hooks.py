"""Wraps the execution of statements in the driver, for timing and tracing.

SQLAlchemy's events are not used. With engine events, every connection registers its listeners again at checkout, which
costs a request more than the listeners themselves. A dialect event stops at the first listener that executes the
statement.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

Execute = Callable[..., None]  # (cursor, statement, parameters, context); without parameters if there are none


def wrap(engine: sa.Engine, wrapper: Callable[[Execute], Execute]) -> None:
    """Wrap the execution of every statement of an engine; the wrapper added last is the outermost."""
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(engine.dialect, name, wrapper(getattr(engine.dialect, name)))
