"""What is put around the work of the database's driver, by those who time statements or trace them.

Not SQLAlchemy's events: those of the engine make every connection listen anew when it is taken, which costs a request
more than the work of those who listen, and of those of the dialect one listener excludes the next.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

Execute = Callable[..., None]  # (cursor, statement, parameters, context); without parameters where there are none


def wrap(engine: sa.Engine, around: Callable[[Execute], Execute]) -> None:
    """Put `around` around the execution of every statement of an engine; whoever comes last is outermost."""
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(engine.dialect, name, around(getattr(engine.dialect, name)))
