"""Users who share their latest position, and users whose data is kept but not shown to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

LOSSES = {
    "who shares positions": "SELECT 1 FROM location_sharing LIMIT 1",
    "whose processing is restricted": "SELECT 1 FROM users WHERE processing_restricted LIMIT 1",
}

INDEX = "ix_users_processing_restricted"
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Create the table and the column: until users start to share, `/locations/active` lists none of them."""
    # PostgreSQL has the table and the column already after a migration that stopped at the index.
    repeated = op.get_context().dialect.name == "postgresql"
    op.create_table(
        "location_sharing",
        sa.Column("id", BigId, sa.Identity(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_location_sharing"),
        sa.UniqueConstraint("user_id", name="uq_location_sharing_user_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_location_sharing_user_id_users", ondelete="CASCADE"
        ),
        if_not_exists=repeated,
        **TEXT_OPTIONS,
    )
    restricted = sa.Column("processing_restricted", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("users", restricted, if_not_exists=repeated)
    # The table is in use: the index is created concurrently, outside a transaction. An incomplete one, of a migration
    # that stopped, is dropped first.
    with op.get_context().autocommit_block():
        if repeated:
            op.drop_index(INDEX, "users", if_exists=True, postgresql_concurrently=True)
        op.create_index(INDEX, "users", ["processing_restricted"], postgresql_concurrently=True)


def downgrade() -> None:
    """Drop the column and the table."""
    op.drop_index(INDEX, "users")
    with op.batch_alter_table("users") as users:
        users.drop_column("processing_restricted")
    op.drop_table("location_sharing")
