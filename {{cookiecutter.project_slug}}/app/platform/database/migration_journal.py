"""Makes a revision that stopped half-way repeatable, where the database commits each change of the schema at once.

On MariaDB and MySQL a statement such as CREATE TABLE commits, so a revision that stops between two of them cannot be
rolled back. The journal is a table with the statements of the unfinished revision. A repeated revision skips those that
it has done. The table exists only until the revision ends. SQLite needs the journal too: its driver begins no
transaction for a change of the schema. PostgreSQL runs each revision in a transaction instead.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.dialects import mysql

logger = logging.getLogger(__name__)

JOURNAL = sa.Table(
    "migration_journal",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("statement", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    mysql_charset="utf8mb4",
    mariadb_charset="utf8mb4",
)
SCHEMA_CHANGE = re.compile(r"\s*(CREATE|ALTER|DROP|RENAME|TRUNCATE)\b", re.IGNORECASE)
# Errors of a statement whose effect exists already: numbers of MariaDB and MySQL, and messages of SQLite.
EFFECT_EXISTS = frozenset((1050, 1051, 1054, 1060, 1061, 1091, 1146, 1304, 1305, 1359, 1360, 1826, 3822))
EFFECT_EXISTS_IN_SQLITE = re.compile("already exists|no such|duplicate column")

Migration = Callable[..., None]


class MigrationJournal:
    """The journal of one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._needed = connection.dialect.name != "postgresql"
        self._step = ""  # the step that runs
        self._numbers: dict[tuple[str, int], int] = {}  # by statement and its occurrence
        self._done: set[int] = set()
        self._occurrences: Counter[str] = Counter()
        if self._needed:
            sa.event.listen(connection.engine, "do_execute", self._execute)

    def wrap(self, step: str, migration: Migration) -> Migration:
        """Return the function of a revision, which records its changes of the schema under the name `step`."""

        @wraps(migration)
        def recorded(**kwargs: Any) -> None:
            with self._recording(step):
                migration(**kwargs)

        return recorded if self._needed else migration

    def drop(self) -> None:
        """Drop the table after the last revision."""
        # An account of MariaDB that only serves may not ask whether the table exists.
        if self._needed and JOURNAL.name in sa.inspect(self._connection).get_table_names():
            JOURNAL.drop(self._connection)
            self._connection.commit()

    @contextmanager
    def _recording(self, step: str) -> Iterator[None]:
        JOURNAL.create(self._connection, checkfirst=True)
        self._read(step)
        self._step = step
        try:
            yield
        finally:
            self._step = ""
        self._connection.execute(sa.delete(JOURNAL))  # in the transaction in which Alembic records the revision

    def _read(self, step: str) -> None:
        """Read the statements of an earlier run; raises `CommandError` if that was another step."""
        self._numbers.clear()
        self._done.clear()
        self._occurrences.clear()
        occurrences: Counter[str] = Counter()
        for row in self._connection.execute(sa.select(JOURNAL).order_by(JOURNAL.c.number)):
            if row.step != step:
                raise CommandError(
                    f"The {row.step} stopped half-way, and the {step} cannot start before it is finished: run that "
                    "command again. docs/migrations.md explains it."
                )
            occurrences[row.statement] += 1
            self._numbers[row.statement, occurrences[row.statement]] = row.number
            if row.done:
                self._done.add(row.number)

    def _execute(self, cursor: Any, statement: str, parameters: Any, _context: object) -> bool | None:
        """Execute a change of the schema in place of the driver, or skip it; returns None for other statements."""
        if not self._step or not SCHEMA_CHANGE.match(statement):
            return None
        self._occurrences[statement] += 1
        key = (statement, self._occurrences[statement])
        stopped_here = key in self._numbers
        number = self._numbers.setdefault(key, len(self._numbers) + 1)
        if number in self._done:
            _log_skipped(statement)
            return True
        if not stopped_here:
            row = {"number": number, "step": self._step, "statement": statement, "done": False}
            self._connection.execute(sa.insert(JOURNAL), row)
        self._run(cursor, statement, parameters, number, stopped_here=stopped_here)
        self._connection.execute(sa.update(JOURNAL).where(JOURNAL.c.number == number).values(done=True))
        return True

    def _run(self, cursor: Any, statement: str, parameters: Any, number: int, *, stopped_here: bool) -> None:
        """Execute a statement; if an earlier run stopped during it, its effect may exist already."""
        try:
            cursor.execute(statement, parameters)
        except Exception as error:
            if stopped_here and _effect_exists(error):
                _log_skipped(statement)
                return
            if not stopped_here:
                with suppress(sa.exc.DBAPIError):  # without a connection, it is unknown whether the statement is done
                    self._connection.execute(sa.delete(JOURNAL).where(JOURNAL.c.number == number))
            raise


def _effect_exists(error: Exception) -> bool:
    """Whether an error says that what a statement creates exists, or that what it drops does not."""
    code = error.args[0] if error.args else None
    return code in EFFECT_EXISTS or bool(EFFECT_EXISTS_IN_SQLITE.search(str(code)))


def _log_skipped(statement: str) -> None:
    first_line = statement.strip().splitlines()[0].rstrip("( ")
    logger.info("skipped, because an earlier run has done it: %s", first_line)
