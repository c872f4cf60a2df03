"""Bounds of the rows of the audit log and its seals: positive ids, and a size that readers can hold in memory.

On MariaDB and MySQL, the database alone chooses the ids of the audit log. On PostgreSQL, the privileges of the account
that serves do that.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BOUNDED = {"audit_logs": "details", "audit_seals": "entries"}
OWN_IDS = (
    "CREATE TRIGGER audit_logs_own_ids BEFORE INSERT ON audit_logs FOR EACH ROW IF NEW.id <> 0 THEN "
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_logs: the database chooses the id'; END IF"
)


def upgrade() -> None:
    """Create the triggers; rows that exist are not checked."""
    for table, column in BOUNDED.items():
        for statement in _statements(table, column):
            op.execute(statement)
    if op.get_context().dialect.name in ("mysql", "mariadb"):
        op.execute(OWN_IDS)


def downgrade() -> None:
    """Drop the triggers."""
    for table in BOUNDED:
        if op.get_context().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {table}_bounds ON {table}")  # no input; nosemgrep: sql-from-strings
            op.execute(f"DROP FUNCTION {table}_check_bounds()")  # no input; nosemgrep: sql-from-strings
        else:
            op.execute(f"DROP TRIGGER {table}_bounds")  # no input; nosemgrep: sql-from-strings
    if op.get_context().dialect.name in ("mysql", "mariadb"):
        op.execute("DROP TRIGGER audit_logs_own_ids")


def _statements(table: str, column: str) -> list[str]:
    message = f"{table}: the row is too large, or its id is below 1"
    match op.get_context().dialect.name:
        case "postgresql":
            return [
                f"""
                CREATE FUNCTION {table}_check_bounds() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                  IF NEW.id < 1 OR octet_length(NEW.{column}::text) > 65536 THEN
                    RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation';
                  END IF;
                  RETURN NEW;
                END $$
                """,
                f"""
                CREATE TRIGGER {table}_bounds BEFORE INSERT ON {table}
                FOR EACH ROW EXECUTE FUNCTION {table}_check_bounds()
                """,
            ]
        case "sqlite":
            condition = f"NEW.id < 1 OR length(CAST(NEW.{column} AS BLOB)) > 65536"
            body = f"WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        case _:
            condition = f"NEW.id < 1 OR OCTET_LENGTH(NEW.{column}) > 65536"
            signal = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{message}'"
            body = f"FOR EACH ROW IF {condition} THEN {signal}; END IF"
    return [f"CREATE TRIGGER {table}_bounds AFTER INSERT ON {table} {body}"]
