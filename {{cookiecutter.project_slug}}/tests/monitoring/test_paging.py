"""From a breached objective to a page: the service, Prometheus, Alertmanager, PagerDuty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.environments import basic_environment
from tests.monitoring.monitored_service import monitored_service
from tests.servers import PostgresServer, RedisServer, start_postgres, wait_until
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.fake_pagerduty import FakePagerDuty

pytestmark = [pytest.mark.running, pytest.mark.usefixtures("monitoring_programs")]

ALERT = "AvailabilityBudgetBurnsFast"


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A database that the test may stop."""
    with start_postgres() as server:
        yield server


@pytest.mark.req("O3", "O4")
def test_stopped_database_pages_the_engineer_on_call(
    own_postgres: PostgresServer,
    redis_server: RedisServer,
    alertmanager: AlertmanagerServer,
    fake_pagerduty: FakePagerDuty,
    tmp_path: Path,
) -> None:
    redis_server.flush()
    database = own_postgres.create_database("monitored")
    migrate(basic_environment(DATABASE_URL=database))
    with monitored_service(
        database, redis_server.url, tmp_path, with_tasks=False, alertmanager_port=alertmanager.port
    ) as service:
        request_rate = 'slo:requests:rate5m{endpoint="/api/v1/users/me"}'
        assert wait_until(lambda: bool(service.prometheus.query(request_rate)), 240)
        assert ALERT not in {page["payload"]["class"] for page in fake_pagerduty.pages}

        own_postgres.stop()
        page = fake_pagerduty.page(ALERT, timeout=240)

        assert page["links"] == [{"href": f"docs/runbook.md#{ALERT.lower()}", "text": "What to do"}]
        assert page["payload"]["severity"] == "critical"
        assert "of the requests to" in page["payload"]["custom_details"]["alerts"]
