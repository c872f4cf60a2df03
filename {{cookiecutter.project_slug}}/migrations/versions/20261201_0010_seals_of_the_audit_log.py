"""Seals of the audit log: signed lists of its entries, which are append-only too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}

LOSSES = {"the seals of the audit log": "SELECT 1 FROM audit_seals LIMIT 1"}
REFUSAL = "audit_seals is append-only: what was done cannot be changed or deleted"

# As in revision 0005.
GUARD_POSTGRESQL = (
    f"""
    CREATE FUNCTION audit_seals_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION audit_seals_refuse()
    """,
)
GUARD_MYSQL = tuple(
    f"CREATE TRIGGER audit_seals_no_{event.lower()} BEFORE {event} ON audit_seals "
    f"FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{REFUSAL}'"
    for event in ("UPDATE", "DELETE")
)
GUARD_SQLITE = tuple(
    f"CREATE TRIGGER audit_seals_no_{event.lower()} BEFORE {event} ON audit_seals {when}"
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for event, when in (
        ("UPDATE", ""),
        ("DELETE", ""),
        ("INSERT", "WHEN EXISTS (SELECT 1 FROM audit_seals WHERE id = NEW.id) "),
    )
)
GUARDS = {"postgresql": GUARD_POSTGRESQL, "mysql": GUARD_MYSQL, "mariadb": GUARD_MYSQL, "sqlite": GUARD_SQLITE}


def upgrade() -> None:
    """Create the table and its triggers."""
    op.create_table(
        "audit_seals",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("last_id", BigId, nullable=False),
        sa.Column("entries", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("signature", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_seals"),
        **TEXT_OPTIONS,
    )
    for statement in GUARDS[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Drop the table with its triggers: the next upgrade begins a new chain."""
    op.drop_table("audit_seals")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_seals_refuse()")
