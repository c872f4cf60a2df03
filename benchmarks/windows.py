"""One window of load on one server, and what it cost everybody."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.cost import cpu_seconds
from benchmarks.load import drive
from benchmarks.pairs import Spread, percentile, spread
from benchmarks.routes import Route
from benchmarks.servers import Ground, Server

AFTERMATH = 0.02  # seconds in which a server does what it does after its last answer


@dataclass(frozen=True)
class Window:
    """Answers in so many seconds, and the CPU seconds that went into them."""

    requests: int
    seconds: float
    server: float
    database: float
    redis: float
    generator: float
    latencies: list[float]

    @property
    def cpu(self) -> float:
        """The server's CPU time for a request, in milliseconds."""
        return self.server / self.requests * 1000

    @property
    def database_cpu(self) -> float:
        """The database's, likewise."""
        return self.database / self.requests * 1000

    @property
    def redis_cpu(self) -> float:
        """Redis's, likewise."""
        return self.redis / self.requests * 1000

    @property
    def rate(self) -> float:
        """Requests answered in a second."""
        return self.requests / self.seconds

    def latency(self, share: float) -> float:
        """Return the milliseconds within which so large a share of the requests was answered."""
        return percentile(self.latencies, share) * 1000


def take(ground: Ground, server: Server, route: Route, seconds: float) -> Window:
    """Put load on a server for so long."""
    messages = route.messages(server.tokens)
    pids = (server.process.pid, ground.postgres.pid, ground.redis.pid)
    before = [cpu_seconds(pid) for pid in pids]
    traffic = drive(server.port, messages, seconds, route.connections)
    time.sleep(AFTERMATH)
    own, database, redis = (cpu_seconds(pid) - earlier for pid, earlier in zip(pids, before, strict=True))
    return Window(
        len(traffic.latencies), traffic.seconds, own, database, redis, traffic.generator_cpu, traffic.latencies
    )


def summary(windows: list[Window]) -> dict[str, Spread]:
    """Return the figures of a server on a route, each with its quartiles over the windows."""
    return {
        "cpu_ms": spread([window.cpu for window in windows]),
        "database_ms": spread([window.database_cpu for window in windows]),
        "redis_ms": spread([window.redis_cpu for window in windows]),
        "requests_per_second": spread([window.rate for window in windows]),
        "p50_ms": spread([window.latency(0.5) for window in windows]),
        "p95_ms": spread([window.latency(0.95) for window in windows]),
        "p99_ms": spread([window.latency(0.99) for window in windows]),
        "generator_share": spread([window.generator / window.seconds for window in windows]),
    }
