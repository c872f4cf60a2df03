"""When a session was authenticated and by which program, and when a user was suspended; indexes for their lists."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LOSSES = {"who is suspended": "SELECT 1 FROM users WHERE suspended_at IS NOT NULL LIMIT 1"}

Time = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")

SESSIONS, USERS = "user_sessions", "users"
OLD, OLD_COLUMNS = "ix_user_sessions_user_id", ["user_id"]
NEW, NEW_COLUMNS = "ix_user_sessions_user_id_created_at_id", ["user_id", "created_at", "id"]
SUSPENDED = "ix_users_suspended_at"


def upgrade() -> None:
    """Add the columns; the previous release, which does not write them, goes on working."""
    _add_column(SESSIONS, sa.Column("authenticated_at", Time))
    _add_column(SESSIONS, sa.Column("user_agent", sa.String(200)))
    _add_column(USERS, sa.Column("suspended_at", Time))
    # The tables are in use: the indexes are created concurrently, outside a transaction.
    with op.get_context().autocommit_block():
        _create_index(NEW, SESSIONS, NEW_COLUMNS)
        _drop_index(OLD, SESSIONS)
        _create_index(SUSPENDED, USERS, ["suspended_at"])


def downgrade() -> None:
    """Drop the columns; suspended users can sign in again."""
    with op.get_context().autocommit_block():
        _drop_index(SUSPENDED, USERS)
        _create_index(OLD, SESSIONS, OLD_COLUMNS)
        _drop_index(NEW, SESSIONS)
    op.drop_column(USERS, "suspended_at")
    op.drop_column(SESSIONS, "user_agent")
    op.drop_column(SESSIONS, "authenticated_at")


def _add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column; PostgreSQL has it already after a migration that failed at an index."""
    op.add_column(table, column, if_not_exists=op.get_context().dialect.name == "postgresql")


def _create_index(name: str, table: str, columns: list[str]) -> None:
    """Create an index; an incomplete one, of a migration that failed, is dropped first."""
    if op.get_context().dialect.name == "postgresql":
        _drop_index(name, table)
    op.create_index(name, table, columns, postgresql_concurrently=True)


def _drop_index(name: str, table: str) -> None:
    """Drop an index; on PostgreSQL, a migration that failed may have done it already."""
    if_exists = op.get_context().dialect.name == "postgresql"
    op.drop_index(name, table, if_exists=if_exists, postgresql_concurrently=True)
