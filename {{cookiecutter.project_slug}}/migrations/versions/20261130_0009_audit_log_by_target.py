"""An index for the entries of the audit log about one target, in the order in which they are listed."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "audit_logs"
OLD, OLD_COLUMNS = "ix_audit_logs_target_type_target_id", ["target_type", "target_id"]
NEW, NEW_COLUMNS = "ix_audit_logs_target_type_target_id_created_at", [*OLD_COLUMNS, "created_at"]


def upgrade() -> None:
    """Replace the index without the time."""
    _replace(OLD, NEW, NEW_COLUMNS)


def downgrade() -> None:
    """Restore the index without the time."""
    _replace(NEW, OLD, OLD_COLUMNS)


def _replace(old: str, new: str, columns: list[str]) -> None:
    # The table is in use: the index is created concurrently, outside a transaction. An incomplete one, of a migration
    # that failed, is dropped first; the old one may have been dropped by it.
    is_postgresql = op.get_context().dialect.name == "postgresql"
    with op.get_context().autocommit_block():
        if is_postgresql:
            op.drop_index(new, TABLE, if_exists=True, postgresql_concurrently=True)
        op.create_index(new, TABLE, columns, postgresql_concurrently=True)
        op.drop_index(old, TABLE, if_exists=is_postgresql, postgresql_concurrently=True)
