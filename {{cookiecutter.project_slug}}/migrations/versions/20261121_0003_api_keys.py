"""API keys, and indexes for the lists that admins read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")

INDEXES = (
    ("ix_users_created_at_id", "users", ["created_at", "id"]),
    ("ix_users_role_created_at_id", "users", ["role", "created_at", "id"]),
    ("ix_audit_logs_action_created_at", "audit_logs", ["action", "created_at"]),
)


def upgrade() -> None:
    """Create the indexes and the table."""
    # The tables are in use: the indexes are created concurrently, outside a transaction. They come first, so that a
    # failed migration can be rerun: an incomplete index is dropped and created again.
    with op.get_context().autocommit_block():
        for name, table, columns in INDEXES:
            if op.get_context().dialect.name == "postgresql":
                op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
            op.create_index(name, table, columns, postgresql_concurrently=True)
    op.create_table(
        "api_keys",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("expires_at", Time),
        sa.Column("last_used_at", Time),
        sa.Column("revoked_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("prefix", name="uq_api_keys_prefix"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_api_keys_user_id_created_at_id", "api_keys", ["user_id", "created_at", "id"])


def downgrade() -> None:
    """Drop the indexes and the table; API keys stop working."""
    for name, table, _ in INDEXES:
        op.drop_index(name, table)
    op.drop_table("api_keys")
