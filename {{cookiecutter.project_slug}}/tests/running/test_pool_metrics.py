"""The pool metrics are summed over all web processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa

from tests.environments import OPERATOR
from tests.running.conftest import FAULT_GUNICORN, StartWeb, Web
from tests.scrapes import parse_samples
from tests.servers import PostgresServer, wait_until

pytestmark = pytest.mark.running


@contextmanager
def held_connections(database_url: str) -> Iterator[None]:
    """Block `/faults/hold` until the end of the `with` block."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        yield


def pool_metrics(web: Web) -> dict[str, float]:
    """Return the pool metrics by state, or by name where they have no state."""
    found = parse_samples(web.get("/metrics", headers=OPERATOR).text)
    samples = [sample for sample in found if sample.name.startswith("db_")]
    return {sample.labels.get("state", sample.name): sample.value for sample in samples}


def connections(postgres: PostgresServer, database: str) -> int:
    """Return the connections of the service that the database reports."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'service-under-test'"
    with psycopg.connect(postgres.url("postgres")) as connection:
        row = connection.execute(query, [database.rpartition("/")[2]]).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.req("O2", "S5")
def test_connections_are_summed_over_processes(
    start_web: StartWeb, postgres: PostgresServer, migrated_database: str
) -> None:
    settings = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "9", "GUNICORN_WORKERS": "2", "GUNICORN_THREADS": "10"}
    settings["DB_STATEMENT_TIMEOUT_MS"] = "300000"
    web = start_web(FAULT_GUNICORN, **settings)

    with ThreadPoolExecutor(6) as pool:
        with held_connections(migrated_database):
            held = [pool.submit(web.get, "/faults/hold") for _ in range(6)]
            assert wait_until(lambda: pool_metrics(web)["in_use"] == 6, 60)
            during = pool_metrics(web)
        assert [response.result().status_code for response in held] == [200] * 6
    assert wait_until(lambda: pool_metrics(web)["in_use"] == 0, 60)
    # The server removes a closed connection after a moment.
    assert wait_until(lambda: pool_metrics(web)["idle"] == connections(postgres, migrated_database), 60)
    after = pool_metrics(web)

    assert during["overflow"] >= 4  # six and those of the scrape; each process keeps one
    assert (during["db_pool_size"], after["db_pool_size"], after["db_pool_timeouts_total"]) == (2, 2, 0)
    assert after["overflow"] == 0
    assert after["idle"] in (1, 2)  # the same process may have received all six


@pytest.mark.req("O2")
def test_killed_process_holds_no_connection(start_web: StartWeb, migrated_database: str) -> None:
    web = start_web(FAULT_GUNICORN, GUNICORN_WORKERS="1", DB_STATEMENT_TIMEOUT_MS="300000")
    with ThreadPoolExecutor(3) as pool, held_connections(migrated_database):
        held = [pool.submit(web.get, "/faults/hold") for _ in range(3)]
        assert wait_until(lambda: pool_metrics(web)["in_use"] == 3, 60)

        os.kill(web.process.children()[0], signal.SIGKILL)

        assert all(response.exception() for response in held)
        assert pool_metrics(web)["in_use"] == 0


@pytest.mark.req("O2")
def test_pool_timeouts_are_counted_over_all_processes(start_web: StartWeb, migrated_database: str) -> None:
    settings = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0", "DB_POOL_TIMEOUT": "0.2", "GUNICORN_WORKERS": "2"}
    settings["DB_STATEMENT_TIMEOUT_MS"] = "300000"
    web = start_web(FAULT_GUNICORN, **settings)

    with ThreadPoolExecutor(6) as pool:
        with held_connections(migrated_database):
            requests = [pool.submit(web.get, "/faults/hold") for _ in range(6)]
            # Each process holds one connection; the other requests time out.
            assert wait_until(lambda: sum(request.done() for request in requests) >= 4, 60)
        statuses = [request.result().status_code for request in requests]

    assert statuses.count(503) >= 4
    assert wait_until(lambda: pool_metrics(web)["db_pool_timeouts_total"] == statuses.count(503), 60)


@pytest.mark.req("O2", "D3")
def test_scrape_reports_whether_migrations_are_at_head(web: Web, migrated_database: str) -> None:
    before = pool_metrics(web)["db_migrations_at_head"]
    engine = sa.create_engine(migrated_database)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'another'"))
    engine.dispose()

    assert before == 1
    assert pool_metrics(web)["db_migrations_at_head"] == 0
