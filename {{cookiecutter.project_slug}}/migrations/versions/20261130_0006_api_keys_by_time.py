"""An index for the list of all API keys, which admins read."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_api_keys_created_at_id", "api_keys"


def upgrade() -> None:
    """Create the index."""
    # The table is in use: the index is created concurrently, outside a transaction. An incomplete one, of a migration
    # that failed, is dropped first.
    with op.get_context().autocommit_block():
        if op.get_context().dialect.name == "postgresql":
            op.drop_index(NAME, TABLE, if_exists=True, postgresql_concurrently=True)
        op.create_index(NAME, TABLE, ["created_at", "id"], postgresql_concurrently=True)


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(NAME, TABLE)
