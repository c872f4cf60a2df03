"""The pool's figures in one process; `running/test_pool_metrics.py` adds them up over several."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import exc

from app.connections import engine_options
from app.observability.pool_metrics import CONNECTIONS, SIZE, TIMEOUTS, CountedPool, add_idle, watch_pool
from tests.test_configuration import GOOD


def figures() -> tuple[int, int, int]:
    """In use, idle, overflow."""
    families = list(CONNECTIONS.collect())
    add_idle(families)
    counts = {sample.labels["state"]: int(sample.value) for sample in families[0].samples}
    return counts["in_use"], counts["idle"], counts["overflow"]


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    """An engine with a pool of two, and one more when it must be."""
    made = sa.create_engine("sqlite://", poolclass=CountedPool, pool_size=2, max_overflow=1, pool_timeout=0.1)
    watch_pool(made)
    yield made
    made.dispose()


@pytest.mark.req("O2")
def test_connections_are_told_apart_by_what_they_do(engine: sa.Engine) -> None:
    seen = []

    held = [engine.connect() for _ in range(3)]
    seen.append(figures())
    for connection in held[:2]:
        connection.close()
    seen.append(figures())
    held[2].close()  # one too many to keep
    seen.append(figures())
    engine.dispose()
    seen.append(figures())

    assert seen == [(3, 0, 1), (1, 2, 1), (0, 2, 0), (0, 0, 0)]
    assert SIZE._value.get() == 2


@pytest.mark.req("O2")
def test_a_connection_that_breaks_is_not_counted_on(engine: sa.Engine) -> None:
    with engine.connect() as first, engine.connect():
        first.invalidate()
        during = figures()

    assert during == (1, 0, 0)
    assert figures() == (0, 1, 0)


@pytest.mark.req("O2")
def test_who_waits_in_vain_is_counted(engine: sa.Engine) -> None:
    before = TIMEOUTS._value.get()

    held = [engine.connect() for _ in range(3)]
    with pytest.raises(exc.TimeoutError):
        engine.connect()
    for connection in held:
        connection.close()

    assert TIMEOUTS._value.get() - before == 1


@pytest.mark.req("O2")
def test_the_services_own_pool_counts() -> None:
    from app.configuration import load

    assert engine_options(load(GOOD))["poolclass"] is CountedPool


@pytest.mark.parametrize(("state", "idle"), [("open", 3), ("in_use", 0)])
@pytest.mark.req("O2")
def test_a_process_that_has_only_begun_to_count_does_not_spoil_a_scrape(state: str, idle: int) -> None:
    family = GaugeMetricFamily("db_pool_connections", "", labels=["state"])
    family.add_metric([state], 3)

    add_idle([family])

    assert family.samples[-1].labels == {"state": "idle"}
    assert family.samples[-1].value == idle
