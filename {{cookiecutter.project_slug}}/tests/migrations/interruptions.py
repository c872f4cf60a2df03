"""Migrations in this process that stop after a statement, and the schema that they leave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import celery
import flask_migrate
import sqlalchemy as sa

from app import create_app
from app.platform.database.base import db
from tests.environments import ROOT, basic_environment
from tests.statements import listening_to_every_engine

# Statements that describe a schema completely.
SCHEMA_QUERIES = {
    "sqlite": ("SELECT type, name, sql FROM sqlite_master ORDER BY type, name",),
    "postgresql": (
        """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity
           FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2""",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
           WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1",
    ),
}
CHANGE = re.compile(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE)\b")
OF_ALEMBIC = re.compile("alembic_version|migration_journal")


class Stopped(Exception):
    """Stands for the end of the process."""


@contextmanager
def stop_after(statements: int) -> Iterator[None]:
    """Raise `Stopped` after so many changes of revisions, with those that are skipped."""
    sent = 0

    def stop(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal sent
        is_change = CHANGE.match(statement) and not OF_ALEMBIC.search(statement)
        sent += bool(is_change)
        if is_change and sent == statements:
            raise Stopped

    with listening_to_every_engine("after_cursor_execute", stop):
        yield


class Migrations:
    """Commands of Flask-Migrate in this process, on one database."""

    def __init__(self, database_url: str, folder: Path = ROOT / "migrations") -> None:
        current = celery.current_app._get_current_object()
        self._app = create_app(basic_environment(DATABASE_URL=database_url))
        self._folder = folder
        current.set_current()  # each new app sets its own Celery

    def run(self, command: str, revision: str) -> None:
        """Run `upgrade` or `downgrade` to a revision."""
        with self._app.app_context():
            try:
                getattr(flask_migrate, command)(directory=str(self._folder), revision=revision)
            finally:
                db.engine.dispose()


def stop_and_repeat(migrations: Migrations, command: str, revision: str) -> int:
    """Stop after one statement, repeat and stop after two, and so on until the end; returns the number of stops."""
    for statements in count(1):
        try:
            with stop_after(statements):
                migrations.run(command, revision)
        except Stopped:
            continue
        return statements - 1
    raise AssertionError


def schema(engine: sa.Engine) -> list[list[str]]:
    """Return a complete description of a schema, without the order of its parts."""
    with engine.connect() as connection:
        if engine.dialect.name in ("mysql", "mariadb"):
            tables = sorted(sa.inspect(connection).get_table_names())
            queries = [f"SHOW CREATE TABLE {table}" for table in tables] + ["SHOW TRIGGERS"]
        else:
            queries = list(SCHEMA_QUERIES[engine.dialect.name])
        rows = [row for query in queries for row in connection.exec_driver_sql(query)]
    # The sixth column of a trigger is the time of its creation.
    # A table of SQLite that was created again has quotation marks around its name.
    return [sorted(re.split(r"[,\s]+", " ".join(map(str, row[:5])).replace('"', ""))) for row in rows]
