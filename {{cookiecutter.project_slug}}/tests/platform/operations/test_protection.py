"""The start fails if an append-only table lost its triggers, and says what to run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app.platform.database.append_only import append_only_tables, refusal, restore, trigger_problems
from app.platform.database.base import db

pytestmark = [pytest.mark.req("P4"), pytest.mark.fault("F58")]

TABLE = "audit_logs"
ADVICE = "Find out who changed that, then run, with the account of migrations: flask append-only restore"
WEAKENED = {
    "postgresql": [
        f"ALTER TABLE {TABLE} DISABLE TRIGGER USER",
        f"ALTER TABLE {TABLE} ENABLE REPLICA TRIGGER {TABLE}_append_only",
        f"DROP TRIGGER {TABLE}_append_only ON {TABLE}",
        f"CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        f"CREATE OR REPLACE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE} EXECUTE FUNCTION {TABLE}_refuse()",
    ],
    "sqlite": [f"DROP TRIGGER {TABLE}_no_{event}" for event in ("update", "delete", "insert")],
    "mysql": [f"DROP TRIGGER {TABLE}_no_{event}" for event in ("update", "delete")],
}


@pytest.fixture
def engine(app: Flask) -> Iterator[sa.Engine]:
    """The engine of the app; afterwards, the triggers exist again."""
    with app.app_context():
        engine = db.engine
    yield engine
    with engine.begin() as connection:
        for table in append_only_tables(db.metadata):
            restore(connection, table.name)


def execute(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def assert_protected(engine: sa.Engine) -> None:
    """The database rejects an UPDATE of an entry."""
    execute(engine, f"INSERT INTO {TABLE} (created_at, action, details) VALUES ('2026-01-01 00:00:00', 'test', 'null')")
    with pytest.raises(DBAPIError, match=refusal(TABLE)):
        execute(engine, f"UPDATE {TABLE} SET action = 'test.forged'")


@pytest.mark.parametrize("number", range(5))
def test_start_fails_without_triggers_until_they_are_restored(app: Flask, engine: sa.Engine, number: int) -> None:
    statements = WEAKENED[engine.dialect.name.replace("mariadb", "mysql")]
    execute(engine, statements[number % len(statements)])
    runner = app.test_cli_runner()

    failed = [runner.invoke(args=[command]) for command in ("prepare", "init-db")]
    verified = runner.invoke(args=["audit-log", "verify"])
    restored = runner.invoke(args=["append-only", "restore"])
    prepared = runner.invoke(args=["prepare"])

    for result in failed:
        assert result.exit_code == 1
        assert f"The table {TABLE} is not protected: the trigger {TABLE}_" in result.output
        assert ADVICE in result.output
    assert f"problem: The table {TABLE} is not protected" in verified.output
    assert (restored.exit_code, restored.output) == (0, "append-only: audit_logs, audit_seals\n")
    assert prepared.exit_code == 0, prepared.output
    assert_protected(engine)


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
    names = ", ".join(f"{TABLE}_no_{event}" for event in ("delete", "insert", "update"))
    assert f"the triggers {names} are missing" in result.output
    assert restored.exit_code == 0
    assert_protected(engine)


def test_migrated_tables_are_protected(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert trigger_problems(connection, append_only_tables(db.metadata)) == []
    assert {table.name for table in append_only_tables(db.metadata)} == {TABLE, "audit_seals"}
