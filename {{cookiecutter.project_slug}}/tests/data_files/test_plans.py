"""Queries of files and tests use indexes, also in large tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.data_files import runs, service
from app.data_files.report import failed_report
from tests.plans import long_tables, plans
from tests.platform.storage.factory import unreachable_storage
from tests.servers import PostgresServer

pytestmark = pytest.mark.running

ROWS = 30_000
CURSOR = (datetime(2026, 1, 2, tzinfo=UTC), ROWS // 2)
LEASE = runs.Lease(7, 1, None, None)
DAY = timedelta(days=1)

FILL = [
    """INSERT INTO users (email, password_hash, role, created_at, updated_at)
        SELECT 'user' || n || '@example.org', 'x', 'user', now(), now() FROM generate_series(1, 300) n""",
    f"""INSERT INTO data_files (user_id, name, media_type, size, sha256, storage_key, created_at)
        SELECT 1 + mod(n, 300), 'a.csv', 'text/csv', 1, 'x', 'data-files/' || n,
               timestamptz '2026-01-01 00:00+00' + n * interval '6 seconds'
        FROM generate_series(1, {ROWS}) n""",
    """INSERT INTO test_history (user_id, data_file_id, file_name, status, attempts, created_at, seen_at)
        SELECT user_id, id, name, CASE WHEN mod(id, 3000) = 0 THEN 'running' ELSE 'passed' END, 1,
               created_at, created_at
        FROM data_files""",
    "ANALYZE",
]

QUERIES: dict[str, Callable[[Session], object]] = {
    "files": lambda session: service.list_files(session, 7, 50, None),
    "files, later page": lambda session: service.list_files(session, 7, 50, CURSOR),
    "file": lambda session: service.find(session, 7, 7),
    "erasure of files": lambda session: list(service.delete_files(session, 7)),
    "erasure of tests": lambda session: list(runs.delete_all(session, 7)),
    "objects with a row": lambda session: service.delete_objects(session, unreachable_storage(), ["data-files/7"]),
    "tests": lambda session: runs.history(session, 7, 50, None),
    "tests, later page": lambda session: runs.history(session, 7, 50, CURSOR),
    "test": lambda session: runs.find(session, 7, 7),
    "lease": lambda session: runs.lease(session, 7, DAY),
    "heartbeat": lambda session: runs.record_heartbeat(session, LEASE),
    "finish": lambda session: runs.finish(session, LEASE, failed_report("of a test")),
    "requeue": lambda session: runs.requeue_stale(session, DAY),
    "export": lambda session: service.export(session, 7),
    "deletion of a file": lambda session: session.execute(
        sa.text("UPDATE test_history SET data_file_id = NULL WHERE data_file_id = 7")
    ),
}


@pytest.fixture(scope="module")
def engine(postgres: PostgresServer) -> Iterator[sa.Engine]:
    with long_tables(postgres, "plans_of_files", FILL) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A4")
def test_query_reads_no_whole_table(engine: sa.Engine, name: str) -> None:
    found = plans(engine, QUERIES[name], runs.LeaseLost)

    assert found
    assert not [plan for plan in found if "Seq Scan" in plan]
