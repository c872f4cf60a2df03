"""Append-only tables: their triggers reject changes, and checks find triggers that are missing, changed or added.

A model declares it with `"info": append_only("column")` in `__table_args__`; the revision of the table creates the
triggers. The owner of a table can disable them. On SQLite, `batch_alter_table` drops them without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.platform.database.errors import is_refused

RESTORE = "flask append-only restore"
MAX_BYTES = 65_536  # of the bounded column of a row: those who read the table keep many rows in memory

# MariaDB and MySQL have no trigger for TRUNCATE. SQLite: INSERT OR REPLACE deletes the conflicting row without firing a
# delete trigger, hence the third one.
EVENTS = {"mysql": ("update", "delete"), "sqlite": ("update", "delete", "insert")}
# The definitions of the triggers of a table, and whether they fire. PostgreSQL: with the text of their functions.
POSTGRESQL_TRIGGERS = sa.text(
    "SELECT t.tgname, pg_get_triggerdef(t.oid, true) || ' ' || l.lanname || ' ' || p.prosrc, t.tgenabled IN ('O', 'A') "
    "FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang "
    "WHERE t.tgrelid = CAST(:table AS regclass) AND NOT t.tgisinternal"
)
MYSQL_TRIGGERS = sa.text(
    "SELECT trigger_name, CONCAT('CREATE TRIGGER ', trigger_name, ' ', action_timing, ' ', event_manipulation, ' ON ', "
    "event_object_table, ' FOR EACH ', action_orientation, ' ', action_statement), TRUE "
    "FROM information_schema.triggers WHERE event_object_schema = DATABASE() AND event_object_table = :table "
    "AND action_statement IS NOT NULL"
)
SQLITE_TRIGGERS = sa.text("SELECT name, sql, TRUE FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
TRIGGERS = {"postgresql": POSTGRESQL_TRIGGERS, "mysql": MYSQL_TRIGGERS, "sqlite": SQLITE_TRIGGERS}
# What else can drop or hide the rows of a table of PostgreSQL.
POSTGRESQL_RULES = sa.text(
    "SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = CAST(:table AS regclass) "
    "UNION ALL SELECT 'row security' FROM pg_class WHERE oid = CAST(:table AS regclass) AND relrowsecurity"
)


@dataclass(frozen=True)
class Trigger:
    """A trigger as the database shows it: `statement` creates it, `body` is the text of its function on PostgreSQL."""

    name: str
    statement: str
    function: str = ""
    body: str = ""

    @property
    def definition(self) -> str:
        """The text to compare: with the function, without differences of white space."""
        return _normalized(f"{self.statement} plpgsql {self.body}" if self.body else self.statement)

    @property
    def statements(self) -> list[str]:
        """The statements that create it, or replace one of the same name."""
        if not self.body:
            return [f"DROP TRIGGER IF EXISTS {self.name}", self.statement]
        table = self.statement.partition(" ON ")[2].split()[0]
        return [
            f"CREATE OR REPLACE FUNCTION {self.function}() RETURNS trigger LANGUAGE plpgsql AS $$ {self.body} $$",
            f"DROP TRIGGER IF EXISTS {self.name} ON {table}",
            self.statement,
        ]


def append_only(bounded: str = "") -> dict[str, Any]:
    """Return the declaration of a table, with the name of its column that may have `MAX_BYTES` only."""
    return {"append_only": True, "bounded": bounded}


def append_only_tables(metadata: sa.MetaData) -> list[sa.Table]:
    """Return the tables that declare it."""
    return [table for table in metadata.sorted_tables if table.info.get("append_only")]


def refusal(table: str) -> str:
    """Return the message of the triggers."""
    return f"{table} is append-only: what was done cannot be changed or deleted"


def too_large(table: str) -> str:
    """Return the message of the trigger that bounds new rows."""
    return f"{table}: the row is too large, or its id is below 1"


def trigger_problems(connection: sa.Connection, tables: Sequence[sa.Table]) -> list[str]:
    """Return a problem for each existing table whose triggers are missing, disabled, changed or not its own."""
    existing = set(sa.inspect(connection).get_table_names())
    return [
        f"The table {table.name} is not protected: {problem}. Find out who changed that, then run, with the account of "
        f"migrations: {RESTORE}"
        for table in tables
        if table.name in existing and (problem := "; ".join(_problems(connection, table)))
    ]


def restore(connection: sa.Connection, table: sa.Table) -> None:
    """Create the triggers of a table again; the connection is that of the table's owner."""
    for trigger in triggers(connection.dialect.name, table):
        for statement in trigger.statements:
            connection.exec_driver_sql(statement)


def triggers(dialect: str, table: sa.Table) -> list[Trigger]:
    """Return the triggers of a table: those that reject changes, and the one that bounds new rows."""
    if dialect == "postgresql":
        return _postgresql_triggers(table.name, table.info["bounded"])
    found = _other_triggers(dialect.replace("mariadb", "mysql"), table.name, table.info["bounded"])
    has_own_ids = dialect != "sqlite" and table.autoincrement_column is not None
    return [*found, _mysql_id_trigger(table.name)] if has_own_ids else found


def _postgresql_triggers(table: str, bounded: str) -> list[Trigger]:
    """One trigger per statement, which fires even if no row matches; the texts are those of `pg_get_triggerdef`."""
    size = f" OR octet_length(NEW.{bounded}::text) > {MAX_BYTES}" if bounded else ""
    return [
        Trigger(
            f"{table}_append_only",
            f"CREATE TRIGGER {table}_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
            f"{table}_refuse",
            f"BEGIN RAISE EXCEPTION '{refusal(table)}' USING ERRCODE = 'insufficient_privilege'; END",
        ),
        Trigger(
            f"{table}_bounds",
            f"CREATE TRIGGER {table}_bounds BEFORE INSERT ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_check_bounds()",
            f"{table}_check_bounds",
            f"BEGIN IF NEW.id < 1{size} THEN RAISE EXCEPTION '{too_large(table)}' USING ERRCODE = 'check_violation'; "
            "END IF; RETURN NEW; END",
        ),
    ]


def _other_triggers(dialect: str, table: str, bounded: str) -> list[Trigger]:
    """Before the insert, an id that the database chooses is not known yet."""
    is_mysql = dialect == "mysql"
    size = f"OCTET_LENGTH(NEW.{bounded})" if is_mysql else f"length(CAST(NEW.{bounded} AS BLOB))"
    unfit = f"NEW.id < 1 OR {size} > {MAX_BYTES}" if bounded else "NEW.id < 1"
    reject = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '%s'" if is_mysql else "BEGIN SELECT RAISE(ABORT, '%s'); END"
    each_row = "FOR EACH ROW " if is_mysql else ""
    when = {"insert": " ".join(("WHEN EXISTS (SELECT 1 FROM", f"{table} WHERE id = NEW.id) "))}
    protecting = [
        _trigger(table, f"no_{event}", f"BEFORE {event}", each_row + when.get(event, "") + reject % refusal(table))
        for event in EVENTS[dialect]
    ]
    rejected = reject % too_large(table)
    body = f"FOR EACH ROW IF {unfit} THEN {rejected}; END IF" if is_mysql else f"WHEN {unfit} {rejected}"
    return [*protecting, _trigger(table, "bounds", "AFTER INSERT", body)]


def _mysql_id_trigger(table: str) -> Trigger:
    """Reject ids that the database does not choose: after the largest one, no row can be added."""
    reject = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{table}: the database chooses the id'"
    return _trigger(table, "own_ids", "BEFORE INSERT", f"FOR EACH ROW IF NEW.id <> 0 THEN {reject}; END IF")


def _trigger(table: str, name: str, event: str, body: str) -> Trigger:
    return Trigger(f"{table}_{name}", f"CREATE TRIGGER {table}_{name} {event.upper()} ON {table} {body}")


def _problems(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Yield what is wrong with the triggers of a table."""
    dialect = connection.dialect.name.replace("mariadb", "mysql")
    found = {name: (text, fires) for name, text, fires in connection.execute(TRIGGERS[dialect], {"table": table.name})}
    if dialect == "mysql" and not found and is_update_refused(connection, table.name):
        return  # an account without the privilege TRIGGER does not see triggers
    expected = {trigger.name: trigger.definition for trigger in triggers(dialect, table)}
    states = {name: _state(found.get(name), definition) for name, definition in expected.items()}
    for state in ("missing", "disabled", "changed"):
        yield from _sentence([name for name in states if states[name] == state], state)
    yield from _sentence(found.keys() - expected.keys(), "not one of this service: drop it")
    if dialect == "postgresql":
        for other in connection.scalars(POSTGRESQL_RULES, {"table": table.name}):
            yield f"the {other} is not one of this service: drop it"


def _state(found: tuple[str, bool] | None, definition: str) -> str:
    if found is None:
        return "missing"
    text, fires = found
    if not fires:
        return "disabled"
    return "" if _normalized(text) == definition else "changed"


def _normalized(text: str) -> str:
    return " ".join(text.split())


def _sentence(names: Iterable[str], state: str) -> Iterator[str]:
    found = sorted(names)
    if found:
        noun, verb = ("triggers", "are") if len(found) > 1 else ("trigger", "is")
        yield f"the {noun} {', '.join(found)} {verb} {state}"


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
