"""Metrics of the connection pool: open and used connections, and checkouts that timed out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from threading import Lock
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter, Gauge
from prometheus_client.core import Metric
from sqlalchemy import exc
from sqlalchemy.pool import PoolProxiedConnection

from app.platform.telemetry import multiprocess_metrics

CONNECTIONS = Gauge(
    "db_pool_connections",
    "Database connections: open, in_use and idle of these, and overflow beyond DB_POOL_SIZE",
    ["state"],
    multiprocess_mode="livesum",
)
SIZE = Gauge("db_pool_size", "Most connections that the pools keep open", multiprocess_mode="livesum")
TIMEOUTS = Counter("db_pool_timeouts_total", "Checkouts that found no free connection within DB_POOL_TIMEOUT")

# Looked up once, because a lookup costs more than the update, and one of them changes with every request.
OPEN, IN_USE, OVERFLOW = (CONNECTIONS.labels(state) for state in ("open", "in_use", "overflow"))


class InstrumentedPool(sa.QueuePool):
    """A pool that counts checkout timeouts."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.InstrumentedPool"  # the log level of SQLAlchemy's own pools

    def connect(self) -> PoolProxiedConnection:
        """Return a connection; raises SQLAlchemy's `TimeoutError` if none becomes free in time."""
        try:
            return super().connect()
        except exc.TimeoutError:
            TIMEOUTS.inc()
            raise


class PoolUsage:
    """The open and the used connections of this process, from the events of the pool.

    The pool's own figures are out of date while it calls its listeners. Sets stay correct where counters would not: a
    connection that fails during checkout is checked in without having been checked out.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._open: set[Any] = set()
        self._in_use: set[Any] = set()
        self._lock = Lock()

    def on_connect(self, _connection: object, record: object) -> None:
        """Add a new connection."""
        with self._lock:
            self._open.add(record)
            self._export_open()

    def on_close(self, _connection: object, record: object) -> None:
        """Remove a closed connection."""
        with self._lock:
            self._open.discard(record)
            self._export_open()

    def on_checkout(self, _connection: object, record: object, _proxy: object) -> None:
        """Mark a connection as used."""
        with self._lock:
            self._in_use.add(record)
            IN_USE.set(len(self._in_use))

    def on_checkin(self, _connection: object, record: object) -> None:
        """Mark a connection as idle."""
        with self._lock:
            self._in_use.discard(record)
            IN_USE.set(len(self._in_use))

    def set_size(self) -> None:
        """Export the size of the pool, before it opens connections."""
        SIZE.set(self._size)

    def reset(self) -> None:
        """Clear the state in a forked process, which has no connections yet."""
        self._lock = Lock()
        self._open.clear()
        self._in_use.clear()

    @property
    def _size(self) -> int:
        pool = self._engine.pool
        return pool.size() if isinstance(pool, sa.QueuePool) else 0

    def _export_open(self) -> None:
        OPEN.set(len(self._open))
        OVERFLOW.set(max(0, len(self._open) - self._size))


def add_idle_connections(families: Iterable[Metric]) -> None:
    """Add the number of idle connections (open, not in use) of all processes to the families.

    It changes twice per request; computing it at the scrape saves each request 2 µs.
    """
    for family in families:
        if family.name == "db_pool_connections":
            counts = {sample.labels["state"]: sample.value for sample in family.samples}
            # A new process writes one state after the other, and a scrape may run in between.
            idle = max(0, counts.get("open", 0) - counts.get("in_use", 0))
            family.add_sample(family.name, {"state": "idle"}, idle)


def instrument_pool(engine: sa.Engine) -> None:
    """Count the connections of an engine's pool."""
    usage = PoolUsage(engine)
    sa.event.listen(engine, "connect", usage.on_connect)
    sa.event.listen(engine, "close", usage.on_close)
    sa.event.listen(engine, "checkout", usage.on_checkout)
    sa.event.listen(engine, "checkin", usage.on_checkin)
    os.register_at_fork(after_in_child=usage.reset)
    multiprocess_metrics.on_acquire(usage.set_size)
