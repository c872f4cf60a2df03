"""Queries of files and tests use indexes, also in large tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.data_files import runs, service
from app.data_files.report import failed_report
from tests.plans import FillSql, assert_page_is_read_from_an_index, long_tables, reads_of_whole_tables, rows
from tests.platform.storage.factory import unreachable_storage
from tests.servers import PostgresServer
from tests.servers.installed import InstalledServer

pytestmark = pytest.mark.running

ROWS = rows(30_000)
DEEP = ROWS // 10  # newest first, nine tenths of the rows precede it
CURSOR = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=6 * DEEP), DEEP)
LEASE = runs.Lease(7, 1, None, None)
DAY = timedelta(days=1)


def fill(sql: FillSql) -> list[str]:
    """Return the statements that insert users, their files, and a test of each file."""
    return [
        f"""INSERT INTO users (email, password_hash, role, created_at, updated_at)
            SELECT CONCAT('user', n, '@example.org'), 'x', 'user', {sql.ago("0")}, {sql.ago("0")}
            FROM {sql.numbers(300)}""",
        f"""INSERT INTO data_files (user_id, name, media_type, size, sha256, storage_key, created_at)
            SELECT {sql.one_of(300, first=1)}, 'a.csv', 'text/csv', 1, 'x', CONCAT('data-files/', n),
                   {sql.time("6 * n")}
            FROM {sql.numbers(ROWS)}""",
        """INSERT INTO test_history (user_id, data_file_id, file_name, status, attempts, created_at, seen_at)
           SELECT user_id, id, name, CASE WHEN mod(id, 3000) = 0 THEN 'running' ELSE 'passed' END, 1,
                  created_at, created_at
           FROM data_files""",
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
def engine(database_server: PostgresServer | InstalledServer) -> Iterator[sa.Engine]:
    with long_tables(database_server, "plans_of_files", fill) as engine:
        yield engine


PAGES: dict[str, Callable[[Session], object]] = {
    "files": lambda session: service.list_files(session, 1, 50, CURSOR),
    "tests": lambda session: runs.history(session, 1, 50, CURSOR),
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.req("D1", "A6")
@pytest.mark.fault("F62")
def test_late_page_of_a_user_with_many_rows_reads_few_rows(engine: sa.Engine, name: str) -> None:
    assert_page_is_read_from_an_index(engine, PAGES[name])


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A4")
def test_query_reads_no_whole_table(engine: sa.Engine, name: str) -> None:
    assert not reads_of_whole_tables(engine, QUERIES[name], runs.LeaseLost)
