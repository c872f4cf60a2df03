"""Rows of `user_locations`, in the table that the service's own migrations made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks.routes import positions

USERS = 10_000  # who have positions, at every size
ACTIVE_USERS = 500  # who have some of the last minutes, at every size
POSITIONS_OF_AN_ACTIVE_USER = 10
RECENT = ACTIVE_USERS * POSITIONS_OF_AN_ACTIVE_USER
COPIED_AT_ONCE = 20  # batches

MAKE_USERS = """
INSERT INTO users (email, password_hash, role, created_at, updated_at)
SELECT 'somebody-' || number || '@example.com', '-', 'user', now(), now() FROM generate_series(1, %(users)s) AS number
"""
# Neighbours in time are of different users, and the table is in the order of time, as if all had been sent when they
# happened. The history ends two hours ago, where nobody counts as active.
MAKE_HISTORY = """
INSERT INTO user_locations (user_id, latitude, longitude, accuracy, recorded_at, created_at)
SELECT first + number::bigint * 7919 %% %(users)s, -80 + number %% 160, -170 + number %% 340, 5, moment, moment
FROM (SELECT min(id) AS first FROM users WHERE email LIKE 'somebody-%%') AS people,
    generate_series(1, %(rows)s) AS number,
    LATERAL (SELECT now() - interval '2 hours' - (%(rows)s - number) * (interval '90 days' / %(rows)s) AS moment) AS at
"""
MAKE_RECENT = """
INSERT INTO user_locations (user_id, latitude, longitude, accuracy, recorded_at, created_at)
SELECT first + number %% %(active)s, 48 + random(), 16 + random(), 5, moment, moment
FROM (SELECT min(id) AS first FROM users WHERE email LIKE 'somebody-%%') AS people,
    generate_series(1, %(rows)s) AS number,
    LATERAL (SELECT now() - (%(rows)s - number) * (interval '5 minutes' / %(rows)s) AS moment) AS at
"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'user_locations'
    AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'user_locations'::regclass)
"""
COPY = "COPY user_locations (user_id, latitude, longitude, accuracy, recorded_at, created_at) FROM STDIN"


def connect(address: str) -> psycopg.Connection[Any]:
    """Connect, each statement being a transaction."""
    return psycopg.connect(address, autocommit=True)


def fill(address: str, size: int) -> None:
    """Make `size` rows, of which the same are recent at every size.

    The indexes are dropped and made again, and foreign keys are not asked, which changes nothing but the time it takes.
    """
    with connect(address) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SET session_replication_role = replica")
        indexes = connection.execute(INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(MAKE_USERS, {"users": USERS})
        connection.execute(MAKE_HISTORY, {"users": USERS, "rows": size - RECENT})
        connection.execute(MAKE_RECENT, {"active": ACTIVE_USERS, "rows": RECENT})
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")


def empty(address: str) -> None:
    """Drop every position."""
    with connect(address) as connection:
        connection.execute("TRUNCATE user_locations RESTART IDENTITY")


def copied_rows(user_id: int) -> bytes:
    """Return batches of positions in COPY's text format."""
    now = datetime.now(UTC).isoformat()
    lines = [
        f"{user_id}\t{item['latitude']}\t{item['longitude']}\t{item['accuracy']}\t{item['recorded_at']}\t{now}\n"
        for item in positions()
    ]
    return "".join(lines * COPIED_AT_ONCE).encode()


def copy(connection: psycopg.Connection[Any], rows: bytes) -> int:
    """Copy `rows` with one statement; returns how many there are."""
    with connection.cursor() as cursor:
        with cursor.copy(COPY) as stream:
            stream.write(rows)
        return int(cursor.rowcount)
