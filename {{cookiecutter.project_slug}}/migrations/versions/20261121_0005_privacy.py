"""Encrypted fields and their keys, erasures, and an append-only audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")

REFUSAL = "audit_logs is append-only: what was done cannot be changed or deleted"

# PostgreSQL: the trigger fires once per statement, even if no row matches. MariaDB and MySQL have no trigger for
# TRUNCATE. SQLite: INSERT OR REPLACE deletes the conflicting row without firing a delete trigger, hence the third one.
GUARD_POSTGRESQL = (
    f"""
    CREATE FUNCTION audit_logs_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_refuse()
    """,
)
GUARD_MYSQL = tuple(
    f"CREATE TRIGGER audit_logs_no_{event.lower()} BEFORE {event} ON audit_logs "
    f"FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{REFUSAL}'"
    for event in ("UPDATE", "DELETE")
)
GUARD_SQLITE = tuple(
    f"CREATE TRIGGER audit_logs_no_{event.lower()} BEFORE {event} ON audit_logs {when}"
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for event, when in (
        ("UPDATE", ""),
        ("DELETE", ""),
        ("INSERT", "WHEN EXISTS (SELECT 1 FROM audit_logs WHERE id = NEW.id) "),
    )
)
UNGUARD_POSTGRESQL = (
    "DROP TRIGGER audit_logs_append_only ON audit_logs",
    "DROP FUNCTION audit_logs_refuse()",
)
UNGUARD_MYSQL = ("DROP TRIGGER audit_logs_no_update", "DROP TRIGGER audit_logs_no_delete")
UNGUARD_SQLITE = (*UNGUARD_MYSQL, "DROP TRIGGER audit_logs_no_insert")


def upgrade() -> None:
    """Widen the name column for ciphertext, create the two tables, and make the audit log append-only."""
    _widen_display_name()
    op.create_table(
        "encryption_keys",
        sa.Column("kid", sa.String(16), nullable=False),
        sa.Column("first_used_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_encryption_keys"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("user_created_at", Time, nullable=False),
        sa.Column("erased_at", Time, nullable=False),
        sa.Column("session_ids", sa.JSON, nullable=False),
        sa.Column("stored_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
        sa.UniqueConstraint("user_id", "user_created_at", name="uq_erasures_user_id_user_created_at"),
    )
    op.create_index("ix_erasures_erased_at", "erasures", ["erased_at"])
    op.create_index("ix_erasures_stored_at", "erasures", ["stored_at"])
    _execute(GUARD_POSTGRESQL, GUARD_MYSQL, GUARD_SQLITE)


def downgrade() -> None:
    """Drop the triggers and tables; the name column stays wide, because ciphertext does not fit the old type."""
    _execute(UNGUARD_POSTGRESQL, UNGUARD_MYSQL, UNGUARD_SQLITE)
    op.drop_table("erasures")
    op.drop_table("encryption_keys")


def _widen_display_name() -> None:
    if op.get_context().dialect.name == "postgresql":
        # VARCHAR to TEXT: PostgreSQL neither rewrites nor scans the table.
        op.execute("-- squawk-ignore changing-column-type\nALTER TABLE users ALTER COLUMN display_name TYPE TEXT")
        return
    with op.batch_alter_table("users") as users:
        users.alter_column("display_name", existing_type=sa.String(100), existing_nullable=True, type_=sa.Text())


def _execute(postgresql: tuple[str, ...], mysql: tuple[str, ...], sqlite: tuple[str, ...]) -> None:
    by_dialect = {"postgresql": postgresql, "mysql": mysql, "mariadb": mysql, "sqlite": sqlite}
    for statement in by_dialect[op.get_context().dialect.name]:
        op.execute(statement)
