"""Users who share their latest position."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
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


def upgrade() -> None:
    """Create the table: until users start to share, `/locations/active` lists none of them."""
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
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("location_sharing")
