"""Whether a connection waits for a lock of another one."""

from __future__ import annotations

import sqlalchemy as sa

WAITING_STATEMENTS = {
    "postgresql": "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mysql": "information_schema.processlist WHERE id <> connection_id() AND command = 'Query'",
}


def waits_for_lock(engine: sa.Engine) -> bool:
    """Whether exactly one statement waits."""
    query = f"SELECT count(*) FROM {WAITING_STATEMENTS[engine.dialect.name]}"
    with engine.connect() as connection:
        return bool(connection.scalar(sa.text(query)) == 1)
