"""The identity of the database, and the keys that signed the tombstones in the storage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT_OPTIONS = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Create the table, whose row the service adds, and the column."""
    op.create_table(
        "database_identity",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("value", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_database_identity"),
        **TEXT_OPTIONS,
    )
    op.add_column("erasures", sa.Column("stored_key_id", sa.String(16)))


def downgrade() -> None:
    """Drop the column and the table: the storage then belongs to no database that this one knows."""
    with op.batch_alter_table("erasures") as erasures:
        erasures.drop_column("stored_key_id")
    op.drop_table("database_identity")
