"""What is asked of files and tests is answered from indexes, however long the tables are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.data_files import runs, service
from app.data_files.report import refusal
from tests.plans import long_tables, plans

pytestmark = pytest.mark.running

ROWS = 30_000
CURSOR = (datetime(2026, 1, 2, tzinfo=UTC), ROWS // 2)
CLAIM = runs.Claim(7, 1, None, None)
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
    "files": lambda session: service.files(session, 7, 50, None),
    "files, a later page": lambda session: service.files(session, 7, 50, CURSOR),
    "a file": lambda session: service.find(session, 7, 7),
    "keys of a user": lambda session: service.keys_of(session, 7),
    "which objects have a row": lambda session: service.drop_objects(session, None, ["data-files/7"]),  # type: ignore[arg-type] # which has one
    "tests": lambda session: runs.history(session, 7, 50, None),
    "tests, a later page": lambda session: runs.history(session, 7, 50, CURSOR),
    "a test": lambda session: runs.find(session, 7, 7),
    "a claim": lambda session: runs.claim(session, 7, DAY),
    "a sign": lambda session: runs.give_sign(session, CLAIM),
    "an end": lambda session: runs.end(session, CLAIM, refusal("of a test")),
    "the silent": lambda session: runs.take_back(session, DAY),
    "an export": lambda session: service.tell(session, 7),
    "an erasure": lambda session: session.execute(
        sa.text("UPDATE test_history SET data_file_id = NULL WHERE data_file_id = 7")
    ),
}


@pytest.fixture(scope="module")
def files(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    with long_tables(request.getfixturevalue("postgres"), "plans_of_files", FILL) as engine:
        yield engine


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.req("D1", "A4")
def test_no_table_is_read_through(files: sa.Engine, name: str) -> None:
    found = plans(files, QUERIES[name], runs.Superseded)

    assert found
    assert not [plan for plan in found if "Seq Scan" in plan]
