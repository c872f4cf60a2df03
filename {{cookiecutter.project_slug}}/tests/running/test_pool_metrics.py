"""The pool's figures, added up over several web processes."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from tests.environments import OPERATOR
from tests.running.conftest import GUNICORN, StartWeb, Web
from tests.servers import PostgresServer, wait_until

pytestmark = pytest.mark.running


def figures(web: Web) -> dict[str, float]:
    """What a scrape says of the pool, by the name or the state."""
    families = text_string_to_metric_families(web.get("/metrics", headers=OPERATOR).text)
    samples = [sample for family in families for sample in family.samples if sample.name.startswith("db_")]
    return {sample.labels.get("state", sample.name): sample.value for sample in samples}


def connections(postgres: PostgresServer, database: str) -> int:
    """What the database itself says."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'service-under-test'"
    with psycopg.connect(postgres.url("postgres")) as connection:
        row = connection.execute(query, [database.rpartition("/")[2]]).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.req("O2", "S5")
def test_connections_are_added_up_over_processes(
    start_web: StartWeb, postgres: PostgresServer, migrated_database: str
) -> None:
    settings = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "9", "GUNICORN_WORKERS": "2", "GUNICORN_THREADS": "10"}
    web = start_web([*GUNICORN, "tests.running.planted:app"], **settings)

    with ThreadPoolExecutor(6) as pool:
        held = [pool.submit(web.get, "/planted/hold") for _ in range(6)]
        assert wait_until(lambda: figures(web)["in_use"] == 6, 2)
        during = figures(web)
        assert [answer.result().status_code for answer in held] == [200] * 6
    assert wait_until(lambda: figures(web)["in_use"] == 0, 2)
    # The server takes a moment to let go of a connection that was closed.
    assert wait_until(lambda: figures(web)["idle"] == connections(postgres, migrated_database), 5)
    after = figures(web)

    assert during["overflow"] >= 4  # of six and what the scrape itself asks with, each process keeps one
    assert (during["db_pool_size"], after["db_pool_size"], after["db_pool_timeouts_total"]) == (2, 2, 0)
    assert after["overflow"] == 0
    assert after["idle"] in (1, 2)  # all six may have been taken in by the same process


@pytest.mark.req("O2")
def test_a_killed_process_holds_no_connection(start_web: StartWeb) -> None:
    web = start_web([*GUNICORN, "tests.running.planted:app"], GUNICORN_WORKERS="1")
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(web.get, "/planted/hold") for _ in range(3)]
        assert wait_until(lambda: figures(web)["in_use"] == 3, 2)

        os.kill(web.process.children()[0], signal.SIGKILL)

        assert all(answer.exception() for answer in held)
        assert figures(web)["in_use"] == 0


@pytest.mark.req("O2")
def test_waiting_in_vain_is_counted_over_all_processes(start_web: StartWeb) -> None:
    settings = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0", "DB_POOL_TIMEOUT": "0.2", "GUNICORN_WORKERS": "2"}
    web = start_web([*GUNICORN, "tests.running.planted:app"], **settings)

    with ThreadPoolExecutor(6) as pool:
        statuses = [answer.status_code for answer in pool.map(web.get, ["/planted/hold"] * 6)]

    assert statuses.count(503) >= 4
    assert wait_until(lambda: figures(web)["db_pool_timeouts_total"] == statuses.count(503), 5)


@pytest.mark.req("O2", "D3")
def test_a_scrape_says_whether_the_database_is_at_the_revision_of_the_code(web: Web, migrated_database: str) -> None:
    before = figures(web)["db_migrations_at_head"]
    engine = sa.create_engine(migrated_database)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'another'"))
    engine.dispose()

    assert before == 1
    assert figures(web)["db_migrations_at_head"] == 0
