"""Users, their locations, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Not imported from the app: a migration must not change when the code changes.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the three tables and their indexes."""
    op.create_table(
        "users",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("display_name", sa.String(100)),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("last_login_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.CheckConstraint("role IN ('user', 'admin')", name=op.f("ck_users_role")),
    )
    op.create_table(
        "user_locations",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("latitude", sa.Double, nullable=False),
        sa.Column("longitude", sa.Double, nullable=False),
        sa.Column("accuracy", sa.Double),
        sa.Column("recorded_at", Time, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_locations"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_locations_user_id_users", ondelete="CASCADE"),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_user_locations_latitude")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("ck_user_locations_longitude")),
    )
    op.create_index("ix_user_locations_recorded_at", "user_locations", ["recorded_at"])
    op.create_index("ix_user_locations_user_id_recorded_at_id", "user_locations", ["user_id", "recorded_at", "id"])
    op.create_table(
        "audit_logs",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("actor_id", BigId),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("target_type", sa.String(64)),
        sa.Column("target_id", sa.String(64)),
        sa.Column("address", sa.String(64)),
        sa.Column("request_id", sa.String(128)),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_logs"),
    )
    op.create_index("ix_audit_logs_created_at", "audit_logs", ["created_at"])
    op.create_index("ix_audit_logs_actor_id_created_at", "audit_logs", ["actor_id", "created_at"])
    op.create_index("ix_audit_logs_target_type_target_id", "audit_logs", ["target_type", "target_id"])


def downgrade() -> None:
    """Drop the three tables."""
    op.drop_table("audit_logs")
    op.drop_table("user_locations")
    op.drop_table("users")
