"""The pool of database connections: how many there are, how many are in use, and who waited for one in vain."""

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

from app.observability import slots

CONNECTIONS = Gauge(
    "db_pool_connections",
    "Connections to the database: open, of these in_use and idle, and overflow, how many are beyond DB_POOL_SIZE",
    ["state"],
    multiprocess_mode="livesum",
)
SIZE = Gauge("db_pool_size", "Connections that the pools keep open at most", multiprocess_mode="livesum")
TIMEOUTS = Counter("db_pool_timeouts_total", "Waits for a connection that were given up after DB_POOL_TIMEOUT")

# Looked up once: that costs more than what is done with them, and one changes with every request.
OPEN, IN_USE, OVERFLOW = (CONNECTIONS.labels(state) for state in ("open", "in_use", "overflow"))


class CountedPool(sa.QueuePool):
    """A pool that counts those who waited in vain."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.CountedPool"  # as quiet as SQLAlchemy's own

    def connect(self) -> PoolProxiedConnection:
        """A connection; raises `TimeoutError` of SQLAlchemy where none became free in time."""
        try:
            return super().connect()
        except exc.TimeoutError:
            TIMEOUTS.inc()
            raise


class Occupancy:
    """Which connections of this process are open, and which are in use.

    The pool's own figures are not yet, or no longer, true while it tells of an event. Sets stay right where counting up
    and down would not: a connection that breaks when it is taken is given back without having been handed out.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._open: set[Any] = set()
        self._in_use: set[Any] = set()
        self._lock = Lock()

    def connected(self, _connection: object, record: object) -> None:
        """A connection was made."""
        with self._lock:
            self._open.add(record)
            self._tell_open()

    def closed(self, _connection: object, record: object) -> None:
        """A connection was closed."""
        with self._lock:
            self._open.discard(record)
            self._tell_open()

    def taken(self, _connection: object, record: object, _proxy: object) -> None:
        """A connection was handed out."""
        with self._lock:
            self._in_use.add(record)
            IN_USE.set(len(self._in_use))

    def returned(self, _connection: object, record: object) -> None:
        """A connection was given back."""
        with self._lock:
            self._in_use.discard(record)
            IN_USE.set(len(self._in_use))

    def begin(self) -> None:
        """Tell what may be open, before anything is."""
        SIZE.set(self._size)

    def forget(self) -> None:
        """Begin anew in a forked process, which has none of its parent's connections."""
        self._lock = Lock()
        self._open.clear()
        self._in_use.clear()

    @property
    def _size(self) -> int:
        pool = self._engine.pool
        return pool.size() if isinstance(pool, sa.QueuePool) else 0

    def _tell_open(self) -> None:
        OPEN.set(len(self._open))
        OVERFLOW.set(max(0, len(self._open) - self._size))


def add_idle(families: Iterable[Metric]) -> None:
    """Add the connections that are open and not in use to the counts of all processes.

    That number changes twice with each request; to tell it at a scrape only spares a request 2 µs.
    """
    for family in families:
        if family.name == "db_pool_connections":
            counts = {sample.labels["state"]: sample.value for sample in family.samples}
            # A process that begins to count writes one state after the other, and a scrape may come between.
            idle = max(0, counts.get("open", 0) - counts.get("in_use", 0))
            family.add_sample(family.name, {"state": "idle"}, idle)


def watch_pool(engine: sa.Engine) -> None:
    """Keep the figures of an engine's pool."""
    occupancy = Occupancy(engine)
    sa.event.listen(engine, "connect", occupancy.connected)
    sa.event.listen(engine, "close", occupancy.closed)
    sa.event.listen(engine, "checkout", occupancy.taken)
    sa.event.listen(engine, "checkin", occupancy.returned)
    os.register_at_fork(after_in_child=occupancy.forget)
    slots.at_beginning(occupancy.begin)
