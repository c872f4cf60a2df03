"""Append-only tables: their triggers reject changes, and checks find triggers that are missing or disabled.

A model declares it with `"info": APPEND_ONLY` in `__table_args__`; the revision of the table creates the triggers. The
owner of a table can disable them. On SQLite, `batch_alter_table` drops them without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from app.platform.database.errors import is_refused

APPEND_ONLY = {"append_only": True}
RESTORE = "flask append-only restore"

# Per dialect: what creates the triggers of a table, and how to find them. PostgreSQL: one trigger per statement, which
# fires even if no row matches. MariaDB and MySQL have no trigger for TRUNCATE. SQLite: INSERT OR REPLACE deletes the
# conflicting row without firing a delete trigger, hence the third one.
EVENTS = {"postgresql": (), "mysql": ("update", "delete"), "sqlite": ("update", "delete", "insert")}
BEFORE, DELETE, UPDATE, TRUNCATE = 2, 8, 16, 32  # bits of pg_trigger.tgtype
POSTGRESQL_TRIGGER = sa.text(
    "SELECT t.tgenabled IN ('O', 'A') AND t.tgtype & :events = :events AND t.tgqual IS NULL "
    "AND p.prosrc LIKE '%RAISE EXCEPTION%' "
    "FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE t.tgrelid = CAST(:table AS regclass) AND t.tgname = :name"
)
MYSQL_TRIGGERS = sa.text(
    "SELECT trigger_name FROM information_schema.triggers "
    "WHERE event_object_schema = DATABASE() AND event_object_table = :table AND action_statement LIKE '%SIGNAL%'"
)
SQLITE_TRIGGERS = sa.text(
    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table AND sql LIKE '%RAISE(ABORT%'"
)


def append_only_tables(metadata: sa.MetaData) -> list[sa.Table]:
    """Return the tables that declare it."""
    return [table for table in metadata.sorted_tables if table.info.get("append_only")]


def refusal(table: str) -> str:
    """Return the message of the triggers."""
    return f"{table} is append-only: what was done cannot be changed or deleted"


def trigger_problems(connection: sa.Connection, tables: Sequence[sa.Table]) -> list[str]:
    """Return a problem for each existing table whose triggers are missing, disabled or changed."""
    existing = set(sa.inspect(connection).get_table_names())
    return [
        f"The table {table.name} is not protected: {problem}. Find out who changed that, then run, with the account of "
        f"migrations: {RESTORE}"
        for table in tables
        if table.name in existing and (problem := _problem(connection, table.name))
    ]


def restore(connection: sa.Connection, table: str) -> None:
    """Create the triggers of a table again; the connection is that of the table's owner."""
    for statement in trigger_statements(connection.dialect.name, table):
        connection.exec_driver_sql(statement)


def trigger_statements(dialect: str, table: str) -> list[str]:
    """Return the statements that create the triggers of a table, and replace those that exist."""
    dialect = dialect.replace("mariadb", "mysql")
    if dialect == "postgresql":
        return _postgresql_statements(table)
    body = {
        "mysql": f"FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{refusal(table)}'",
        "sqlite": f"BEGIN SELECT RAISE(ABORT, '{refusal(table)}'); END",
    }[dialect]
    condition = {"insert": " ".join(("WHEN NEW.id IN (SELECT id FROM", f"{table})", ""))}
    return [
        statement
        for event in EVENTS[dialect]
        for statement in (
            f"DROP TRIGGER IF EXISTS {table}_no_{event}",
            f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} {condition.get(event, '')}{body}",
        )
    ]


def _postgresql_statements(table: str) -> list[str]:
    name, events = f"{table}_append_only", "BEFORE UPDATE OR DELETE OR TRUNCATE"
    body = f"BEGIN RAISE EXCEPTION '{refusal(table)}' USING ERRCODE = 'insufficient_privilege'; END"
    return [
        f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} {events} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
    ]


def _problem(connection: sa.Connection, table: str) -> str:
    """Return what is wrong with the triggers of a table; empty if nothing is."""
    if connection.dialect.name == "postgresql":
        events = BEFORE | DELETE | UPDATE | TRUNCATE
        parameters = {"table": table, "name": f"{table}_append_only", "events": events}
        protects = connection.scalar(POSTGRESQL_TRIGGER, parameters)
        return "" if protects else _missing([f"{table}_append_only"], "missing" if protects is None else "disabled")
    is_sqlite = connection.dialect.name == "sqlite"
    found = set(connection.scalars(SQLITE_TRIGGERS if is_sqlite else MYSQL_TRIGGERS, {"table": table}))
    expected = {f"{table}_no_{event}" for event in EVENTS["sqlite" if is_sqlite else "mysql"]}
    if found >= expected or (not is_sqlite and not found and is_update_refused(connection, table)):
        return ""  # an account of MariaDB without the privilege TRIGGER does not see triggers
    return _missing(sorted(expected - found), "missing")


def _missing(names: list[str], state: str) -> str:
    return f"the trigger {names[0]} is {state}" if len(names) == 1 else f"the triggers {', '.join(names)} are {state}"


def is_update_refused(connection: sa.Connection, table: str) -> bool:
    """Whether the account of a connection lacks the privilege to change the rows of a table; no row is changed."""
    target: Any = sa.table(table, sa.column("id"))
    try:
        with connection.begin_nested():
            connection.execute(sa.update(target).where(sa.false()).values(id=target.c.id))
    except sa.exc.DBAPIError as error:
        if is_refused(error):
            return True
        raise
    return False
