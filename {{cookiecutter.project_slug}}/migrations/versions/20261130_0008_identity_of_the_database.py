"""The identity of the database, by which a storage knows the database that it belongs to."""

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
    """Create the table; the service adds the row."""
    op.create_table(
        "database_identity",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("value", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_database_identity"),
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    """Drop the table: the storage then belongs to no database that this one knows."""
    op.drop_table("database_identity")
