"""Uploaded files and their test history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the two tables and their indexes."""
    op.create_table(
        "data_files",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("storage_key", sa.String(128), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_data_files"),
        sa.UniqueConstraint("storage_key", name="uq_data_files_storage_key"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_data_files_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_data_files_user_id_created_at_id", "data_files", ["user_id", "created_at", "id"])
    op.create_table(
        "test_history",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("data_file_id", BigId),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("report", sa.JSON),
        sa.Column("attempts", BigId, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time),
        sa.Column("seen_at", Time, nullable=False),
        sa.Column("finished_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_test_history"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_test_history_user_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["data_file_id"],
            ["data_files.id"],
            name="fk_test_history_data_file_id_data_files",
            ondelete="SET NULL",
        ),
        sa.CheckConstraint("status IN ('pending', 'running', 'passed', 'failed')", name=op.f("ck_test_history_status")),
    )
    op.create_index("ix_test_history_user_id_created_at_id", "test_history", ["user_id", "created_at", "id"])
    op.create_index("ix_test_history_status_seen_at", "test_history", ["status", "seen_at"])
    op.create_index("ix_test_history_data_file_id", "test_history", ["data_file_id"])


def downgrade() -> None:
    """Drop the two tables; the content of the files stays in the storage."""
    op.drop_table("test_history")
    op.drop_table("data_files")
