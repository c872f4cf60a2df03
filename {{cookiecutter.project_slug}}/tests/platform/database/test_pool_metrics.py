"""Pool metrics of one process; `running/test_pool_metrics.py` adds them up over several."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import exc

from app.features import FEATURE_SETTINGS
from app.platform.database.engine import engine_options
from app.platform.database.pool_metrics import (
    CONNECTIONS,
    SIZE,
    TIMEOUTS,
    InstrumentedPool,
    add_idle_connections,
    instrument_pool,
)
from app.platform.settings.checks import load_settings
from tests.platform.settings.test_checks import PRODUCTION


def in_use_idle_overflow() -> tuple[int, int, int]:
    families = list(CONNECTIONS.collect())
    add_idle_connections(families)
    counts = {sample.labels["state"]: int(sample.value) for sample in families[0].samples}
    return counts["in_use"], counts["idle"], counts["overflow"]


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    """An engine with a pool of two connections and an overflow of one."""
    engine = sa.create_engine("sqlite://", poolclass=InstrumentedPool, pool_size=2, max_overflow=1, pool_timeout=0.1)
    instrument_pool(engine)
    yield engine
    engine.dispose()


@pytest.mark.req("O2")
def test_counts_connections_by_state(engine: sa.Engine) -> None:
    seen = []

    held = [engine.connect() for _ in range(3)]
    seen.append(in_use_idle_overflow())
    for connection in held[:2]:
        connection.close()
    seen.append(in_use_idle_overflow())
    held[2].close()  # the pool does not keep overflow connections
    seen.append(in_use_idle_overflow())
    engine.dispose()
    seen.append(in_use_idle_overflow())

    assert seen == [(3, 0, 1), (1, 2, 1), (0, 2, 0), (0, 0, 0)]
    assert SIZE._value.get() == 2


@pytest.mark.req("O2")
def test_broken_connection_is_not_counted(engine: sa.Engine) -> None:
    with engine.connect() as first, engine.connect():
        first.invalidate()
        during = in_use_idle_overflow()

    assert during == (1, 0, 0)
    assert in_use_idle_overflow() == (0, 1, 0)


@pytest.mark.req("O2")
def test_counts_checkout_timeouts(engine: sa.Engine) -> None:
    before = TIMEOUTS._value.get()

    held = [engine.connect() for _ in range(3)]
    with pytest.raises(exc.TimeoutError):
        engine.connect()
    for connection in held:
        connection.close()

    assert TIMEOUTS._value.get() - before == 1


@pytest.mark.req("O2")
def test_service_uses_the_instrumented_pool() -> None:
    settings = load_settings(PRODUCTION, FEATURE_SETTINGS).settings

    assert engine_options(settings)["poolclass"] is InstrumentedPool


@pytest.mark.parametrize(("state", "idle"), [("open", 3), ("in_use", 0)])
@pytest.mark.req("O2")
def test_idle_count_tolerates_a_missing_state(state: str, idle: int) -> None:
    family = GaugeMetricFamily("db_pool_connections", "", labels=["state"])
    family.add_metric([state], 3)

    add_idle_connections([family])

    assert family.samples[-1].labels == {"state": "idle"}
    assert family.samples[-1].value == idle
