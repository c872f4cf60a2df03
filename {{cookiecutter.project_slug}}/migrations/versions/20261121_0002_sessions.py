"""User sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "user_sessions",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("refresh_id", sa.String(32), nullable=False),
        sa.Column("address", sa.String(64)),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("refreshed_at", Time, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.Column("ended_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_user_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_sessions_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_user_sessions_user_id", "user_sessions", ["user_id"])
    op.create_index("ix_user_sessions_ended_at", "user_sessions", ["ended_at"])
    op.create_index("ix_user_sessions_expires_at", "user_sessions", ["expires_at"])


def downgrade() -> None:
    """Drop the table; all users are signed out."""
    op.drop_table("user_sessions")
