"""Somebody is called when a promise is broken, by everything that is between the service and the pager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.environments import basic_environment
from tests.monitoring.stack import watched
from tests.servers import PostgresServer, RedisServer, start_postgres, wait_until
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.pager import Pager

pytestmark = pytest.mark.running

NAME = "AvailabilityBudgetBurnsFast"


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A database to stop."""
    with start_postgres() as server:
        yield server


@pytest.mark.req("O3", "O4")
def test_a_stopped_database_calls_somebody(
    own_postgres: PostgresServer,
    redis_server: RedisServer,
    alertmanager: AlertmanagerServer,
    pager: Pager,
    tmp_path: Path,
) -> None:
    redis_server.flush()
    database = own_postgres.create_database("watched")
    migrate(basic_environment(DATABASE_URL=database))
    with watched(database, redis_server.url, tmp_path, with_tasks=False, alertmanager=alertmanager.port) as service:
        is_up = 'slo:requests:rate5m{endpoint="/api/v1/users/me"}'
        assert wait_until(lambda: bool(service.prometheus.query(is_up)), 60)
        assert NAME not in {page["payload"]["class"] for page in pager.pages}

        own_postgres.stop()
        page = pager.page(NAME, timeout=60)

        assert page["links"] == [{"href": f"docs/runbook.md#{NAME.lower()}", "text": "What to do"}]
        assert page["payload"]["severity"] == "critical"
        assert "of the requests to" in page["payload"]["custom_details"]["alerts"]
