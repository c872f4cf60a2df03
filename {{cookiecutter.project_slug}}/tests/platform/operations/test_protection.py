"""The start fails if an append-only table lost its triggers, and says what to run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app.platform.database.append_only import MAX_BYTES, append_only_tables, refusal, restore, trigger_problems
from app.platform.database.base import db

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F58")]

TABLE = "audit_logs"
ADVICE = "Find out who changed that, then run, with the account of migrations: flask append-only restore"
REPLACED = "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} END $$"
REFUSE, BOUNDS = f"{TABLE}_refuse", f"{TABLE}_check_bounds"
OTHER_EVENTS = f"CREATE OR REPLACE TRIGGER {TABLE}_append_only BEFORE %s ON {TABLE} EXECUTE FUNCTION %s()"
RECREATED = f"DROP TRIGGER {TABLE}_no_update\nCREATE TRIGGER {TABLE}_no_update %s ON {TABLE} %s"
RAISE = f"BEGIN SELECT RAISE(ABORT, '{refusal(TABLE)}'); END"
SIGNAL = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{refusal(TABLE)}'"
# Each entry is one or more statements, a line each.
WEAKENED = {
    "postgresql": [
        f"ALTER TABLE {TABLE} DISABLE TRIGGER USER",
        f"ALTER TABLE {TABLE} ENABLE REPLICA TRIGGER {TABLE}_append_only",
        f"DROP TRIGGER {TABLE}_append_only ON {TABLE}",
        f"DROP TRIGGER {TABLE}_bounds ON {TABLE}",
        REPLACED.format(REFUSE, "RETURN NULL;"),
        REPLACED.format(REFUSE, "/* RAISE EXCEPTION */ RETURN NEW;"),
        REPLACED.format(REFUSE, f"IF FALSE THEN RAISE EXCEPTION '{refusal(TABLE)}'; END IF; RETURN NEW;"),
        REPLACED.format(BOUNDS, "NEW.action = 'test.forged'; RETURN NEW;"),
        OTHER_EVENTS % ("UPDATE", REFUSE),
        OTHER_EVENTS % ("UPDATE OF id OR DELETE OR TRUNCATE", REFUSE),
        OTHER_EVENTS % ("UPDATE OR DELETE OR TRUNCATE", "audit_seals_refuse"),
    ],
    "sqlite": [
        *(f"DROP TRIGGER {TABLE}_{name}" for name in ("no_update", "no_delete", "no_insert", "bounds")),
        RECREATED % ("BEFORE UPDATE OF id", RAISE),
        RECREATED % ("BEFORE UPDATE", f"WHEN 0 {RAISE}"),
    ],
    "mysql": [
        *(f"DROP TRIGGER {TABLE}_{name}" for name in ("no_update", "no_delete", "bounds", "own_ids")),
        RECREATED % ("BEFORE UPDATE", f"FOR EACH ROW IF FALSE THEN {SIGNAL}; END IF"),
        RECREATED % ("AFTER INSERT", f"FOR EACH ROW {SIGNAL}"),
    ],
}
# What is added to the table, and what drops it.
ADDED = {
    "postgresql": [
        (
            REPLACED.format("forge", "NEW.action = 'no'; RETURN NEW;")
            + f"\nCREATE TRIGGER added BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION forge()",
            f"DROP TRIGGER added ON {TABLE}\nDROP FUNCTION forge()",
        ),
        (f"CREATE RULE added AS ON INSERT TO {TABLE} DO INSTEAD NOTHING", f"DROP RULE added ON {TABLE}"),
        (f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY"),
    ],
    "sqlite": [
        (f"CREATE TRIGGER added BEFORE INSERT ON {TABLE} BEGIN SELECT RAISE(IGNORE); END", "DROP TRIGGER added"),
    ],
    "mysql": [
        (f"CREATE TRIGGER added BEFORE INSERT ON {TABLE} FOR EACH ROW SET NEW.action = 'no'", "DROP TRIGGER added"),
    ],
}


def of_dialect(statements: Mapping[str, Sequence[Any]], engine: sa.Engine) -> Sequence[Any]:
    return statements[engine.dialect.name.replace("mariadb", "mysql")]


@pytest.fixture
def engine(app: Flask) -> Iterator[sa.Engine]:
    """The engine of the app; afterwards, the triggers exist again."""
    with app.app_context():
        engine = db.engine
    yield engine
    with engine.begin() as connection:
        for table in append_only_tables(db.metadata):
            restore(connection, table)


def execute(engine: sa.Engine, statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements.splitlines():
            connection.exec_driver_sql(statement)


def assert_protected(engine: sa.Engine) -> None:
    """The database rejects an UPDATE of an entry."""
    execute(engine, f"INSERT INTO {TABLE} (created_at, action, details) VALUES ('2026-01-01 00:00:00', 'test', 'null')")
    with pytest.raises(DBAPIError, match=refusal(TABLE)):
        execute(engine, f"UPDATE {TABLE} SET action = 'test.forged'")


@pytest.mark.parametrize("number", range(len(WEAKENED["postgresql"])))
def test_start_fails_without_triggers_until_they_are_restored(app: Flask, engine: sa.Engine, number: int) -> None:
    statements = of_dialect(WEAKENED, engine)
    execute(engine, statements[number % len(statements)])
    runner = app.test_cli_runner()

    failed = [runner.invoke(args=[command]) for command in ("prepare", "init-db")]
    verified = runner.invoke(args=["audit-log", "verify"])
    restored = runner.invoke(args=["append-only", "restore"])
    prepared = runner.invoke(args=["prepare"])

    for result in failed:
        assert result.exit_code == 1
        assert re.search(rf"The table {TABLE} is not protected: the triggers? {TABLE}_", result.output)
        assert ADVICE in result.output
    assert f"problem: The table {TABLE} is not protected" in verified.output
    assert (restored.exit_code, restored.output) == (0, "append-only: audit_logs, audit_seals\n")
    assert prepared.exit_code == 0, prepared.output
    assert_protected(engine)


@pytest.mark.parametrize("number", range(len(ADDED["postgresql"])))
def test_additions_are_reported(app: Flask, engine: sa.Engine, number: int) -> None:
    additions = of_dialect(ADDED, engine)
    # A connection of SQLite may still know the trigger that another one has dropped: each test has its own name.
    add, drop = (text.replace("added", f"added_{number}") for text in additions[number % len(additions)])
    execute(engine, add)
    try:
        prepared = app.test_cli_runner().invoke(args=["prepare"])
    finally:
        execute(engine, drop)

    assert prepared.exit_code == 1
    assert f"The table {TABLE} is not protected: the " in prepared.output
    assert "is not one of this service: drop it." in prepared.output


@pytest.mark.parametrize(
    ("column", "row_id", "size"),
    [("details", -1, 0), ("entries", -1, 0), ("details", None, MAX_BYTES), ("entries", 2**62, MAX_BYTES)],
)
def test_rows_are_bounded(engine: sa.Engine, column: str, row_id: int | None, size: int) -> None:
    table = next(table for table in append_only_tables(db.metadata) if column in table.columns)
    row: dict[str, Any] = {item.name: "1" for item in table.columns if not item.nullable and item.name != "id"}
    row |= {"created_at": "2026-01-01 00:00:00", column: f'"{"x" * size}"'} | ({"id": row_id} if row_id else {})
    insert = sa.insert(sa.table(table.name, *(sa.column(name) for name in row)))

    # On MariaDB, a column holds less than the bound, and the database chooses the ids of entries.
    expected = r"the row is too large|Data too long" if size else r"its id is below 1|the database chooses the id"
    with engine.begin() as connection, pytest.raises(DBAPIError, match=expected):
        connection.execute(insert, row)


@pytest.mark.parametrize("row_id", [1, 2**63 - 1])
def test_database_chooses_the_ids(engine: sa.Engine, row_id: int) -> None:
    if engine.dialect.name not in ("mysql", "mariadb"):
        pytest.skip("on PostgreSQL, privileges do that; with SQLite, the service owns the file")
    values = "(id, created_at, action, details) VALUES (%s, '2026-01-01 00:00:00', 'test', 'null')"

    with pytest.raises(DBAPIError, match="audit_logs: the database chooses the id"):
        execute(engine, f"INSERT INTO {TABLE} {values % row_id}")

    execute(engine, f"INSERT INTO {TABLE} {values % 0}")


def test_batch_operation_on_sqlite_is_noticed(app: Flask, engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("other databases alter the table and keep its triggers")
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table(TABLE, recreate="always") as table:
            table.alter_column("action", existing_type=sa.String(64), nullable=False)

    result = app.test_cli_runner().invoke(args=["prepare"])
    restored = app.test_cli_runner().invoke(args=["append-only", "restore"])

    assert result.exit_code == 1
    names = ", ".join(f"{TABLE}_{name}" for name in ("bounds", "no_delete", "no_insert", "no_update"))
    assert f"the triggers {names} are missing" in result.output
    assert restored.exit_code == 0
    assert_protected(engine)


def test_migrated_tables_are_protected(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert trigger_problems(connection, append_only_tables(db.metadata)) == []
    assert {table.name for table in append_only_tables(db.metadata)} == {TABLE, "audit_seals"}
