"""Rows of `user_locations`, in the table that the service's migrations create."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks.routes import sample_locations

USERS = 10_000  # users with locations, at every table size
ACTIVE_USERS = 500  # users with locations of the last minutes, at every table size
LOCATIONS_PER_ACTIVE_USER = 10
RECENT_ROWS = ACTIVE_USERS * LOCATIONS_PER_ACTIVE_USER
BATCHES_PER_COPY = 20

INSERT_USERS = """
INSERT INTO users (email, password_hash, role, created_at, updated_at)
SELECT 'user-' || number || '@example.com', '-', 'user', now(), now() FROM generate_series(1, %(users)s) AS number
"""
# Consecutive rows belong to different users, and rows are in time order, as if every location had been sent when it was
# recorded. The history ends two hours ago, so it contains no active users.
INSERT_HISTORY = """
INSERT INTO user_locations (user_id, latitude, longitude, accuracy, recorded_at, created_at)
SELECT first + number::bigint * 7919 %% %(users)s, -80 + number %% 160, -170 + number %% 340, 5, time, time
FROM (SELECT min(id) AS first FROM users WHERE email LIKE 'user-%%') AS benchmark_users,
    generate_series(1, %(rows)s) AS number,
    LATERAL (SELECT now() - interval '2 hours' - (%(rows)s - number) * (interval '90 days' / %(rows)s) AS time) AS times
"""
INSERT_RECENT = """
INSERT INTO user_locations (user_id, latitude, longitude, accuracy, recorded_at, created_at)
SELECT first + number %% %(active)s, 48 + random(), 16 + random(), 5, time, time
FROM (SELECT min(id) AS first FROM users WHERE email LIKE 'user-%%') AS benchmark_users,
    generate_series(1, %(rows)s) AS number,
    LATERAL (SELECT now() - (%(rows)s - number) * (interval '5 minutes' / %(rows)s) AS time) AS times
"""
INSERT_SHARING = """
INSERT INTO location_sharing (user_id, created_at) SELECT id, now() FROM users WHERE email LIKE 'user-%'
"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'user_locations'
    AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'user_locations'::regclass)
"""
COPY = "COPY user_locations (user_id, latitude, longitude, accuracy, recorded_at, created_at) FROM STDIN"


def connect(url: str) -> psycopg.Connection[Any]:
    """Connect in autocommit mode."""
    return psycopg.connect(url, autocommit=True)


def populate(url: str, size: int) -> None:
    """Insert `size` rows; the recent ones are the same at every size.

    To save time, drop and recreate the indexes, and skip foreign key checks. The result is the same.
    """
    with connect(url) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SET session_replication_role = replica")
        indexes = connection.execute(INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(INSERT_USERS, {"users": USERS})
        connection.execute(INSERT_HISTORY, {"users": USERS, "rows": size - RECENT_ROWS})
        connection.execute(INSERT_RECENT, {"active": ACTIVE_USERS, "rows": RECENT_ROWS})
        connection.execute(INSERT_SHARING)
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")


def truncate(url: str) -> None:
    """Delete all locations."""
    with connect(url) as connection:
        connection.execute("TRUNCATE user_locations RESTART IDENTITY")


def copy_payload(user_id: int) -> bytes:
    """Return 20 batches of locations in COPY's text format."""
    now = datetime.now(UTC).isoformat()
    lines = [
        f"{user_id}\t{item['latitude']}\t{item['longitude']}\t{item['accuracy']}\t{item['recorded_at']}\t{now}\n"
        for item in sample_locations()
    ]
    return "".join(lines * BATCHES_PER_COPY).encode()


def copy(connection: psycopg.Connection[Any], payload: bytes) -> int:
    """Insert the payload with one COPY statement; returns the number of rows."""
    with connection.cursor() as cursor:
        with cursor.copy(COPY) as stream:
            stream.write(payload)
        return int(cursor.rowcount)
