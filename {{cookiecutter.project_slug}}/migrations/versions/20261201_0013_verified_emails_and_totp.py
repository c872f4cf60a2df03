"""Verification and change of e-mails, and the second factor of users with its recovery codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

LOSSES = {
    "the second factors of users": "SELECT 1 FROM user_totp LIMIT 1",
    "which e-mail addresses are not verified": "SELECT 1 FROM users WHERE unverified_since IS NOT NULL LIMIT 1",
}

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}
UNVERIFIED = "ix_users_unverified_since"


def upgrade() -> None:
    """Add the column, in which null means verified, so existing users are verified; create its index and the tables."""
    # PostgreSQL has the column and the tables already after a migration that stopped at the last index.
    repeated = op.get_context().dialect.name == "postgresql"
    op.add_column("users", sa.Column("unverified_since", Time), if_not_exists=repeated)
    _create_tables(if_not_exists=repeated)
    # The table is in use: the index is created concurrently, outside a transaction. An incomplete one, of a migration
    # that failed, is dropped first.
    with op.get_context().autocommit_block():
        if repeated:
            op.drop_index(UNVERIFIED, "users", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            UNVERIFIED,
            "users",
            ["unverified_since"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("unverified_since IS NOT NULL"),
        )


def downgrade() -> None:
    """Drop the tables and the column: every account is verified, and no account has a second factor."""
    for table in ("recovery_codes", "user_totp", "email_changes"):
        op.drop_table(table)
    op.drop_index(UNVERIFIED, "users")
    with op.batch_alter_table("users") as users:
        users.drop_column("unverified_since")


def _create_tables(*, if_not_exists: bool) -> None:
    op.create_table(
        "email_changes",
        *_columns("email_changes"),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("link_id", sa.String(32), nullable=False),
        sa.Column("session_id", BigId),
        sa.Column("old_confirmed_at", Time),
        sa.Column("new_confirmed_at", Time),
        sa.UniqueConstraint("user_id", name="uq_email_changes_user_id"),
        if_not_exists=if_not_exists,
        **TEXT_OPTIONS,
    )
    op.create_index("ix_email_changes_created_at", "email_changes", ["created_at"], if_not_exists=if_not_exists)
    op.create_table(
        "user_totp",
        *_columns("user_totp"),
        sa.Column("secret", sa.Text),
        sa.Column("last_step", BigId),
        sa.Column("confirmed_at", Time),
        sa.UniqueConstraint("user_id", name="uq_user_totp_user_id"),
        if_not_exists=if_not_exists,
        **TEXT_OPTIONS,
    )
    op.create_table(
        "recovery_codes",
        *_columns("recovery_codes"),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("user_id", "code_hash", name="uq_recovery_codes_user_id_code_hash"),
        if_not_exists=if_not_exists,
        **TEXT_OPTIONS,
    )


def _columns(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    """Return what every table of the revision has: an id, a user, and the time of its creation."""
    return (
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id_users", ondelete="CASCADE"),
    )
