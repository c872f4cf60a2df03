"""One measurement: load on one server for some seconds, and the CPU time that it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.load_generator import generate_load
from benchmarks.paired_statistics import Quartiles, percentile, quartiles
from benchmarks.process_stats import cpu_seconds
from benchmarks.routes import Route
from benchmarks.servers import Environment, Server

SETTLE_SECONDS = 0.02  # for the server's work after its last response


@dataclass(frozen=True)
class Measurement:
    """Number of requests, the duration, CPU seconds by process group, and latencies in seconds."""

    requests: int
    seconds: float
    server: float
    database: float
    redis: float
    generator: float
    latencies: list[float]

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the server per request."""
        return self.server / self.requests * 1000

    @property
    def database_cpu_ms(self) -> float:
        """CPU milliseconds of PostgreSQL per request."""
        return self.database / self.requests * 1000

    @property
    def redis_cpu_ms(self) -> float:
        """CPU milliseconds of Redis per request."""
        return self.redis / self.requests * 1000

    @property
    def requests_per_second(self) -> float:
        """Throughput."""
        return self.requests / self.seconds

    def latency_ms(self, fraction: float) -> float:
        """Return a latency percentile in milliseconds; 0.95 is p95."""
        return percentile(self.latencies, fraction) * 1000


def measure(environment: Environment, server: Server, route: Route, seconds: float) -> Measurement:
    """Put load on a server for `seconds` and return the measurement."""
    requests = route.raw_requests(server.tokens)
    pids = (server.process.pid, environment.postgres.pid, environment.redis.pid)
    before = [cpu_seconds(pid) for pid in pids]
    load = generate_load(server.port, requests, seconds, route.connections)
    time.sleep(SETTLE_SECONDS)
    cpu, database, redis = (cpu_seconds(pid) - earlier for pid, earlier in zip(pids, before, strict=True))
    return Measurement(len(load.latencies), load.seconds, cpu, database, redis, load.generator_cpu, load.latencies)


def summarize(measurements: list[Measurement]) -> dict[str, Quartiles]:
    """Return the figures of a server on a route, each with its quartiles over the measurements."""
    return {
        "cpu_ms": quartiles([measurement.cpu_ms for measurement in measurements]),
        "database_ms": quartiles([measurement.database_cpu_ms for measurement in measurements]),
        "redis_ms": quartiles([measurement.redis_cpu_ms for measurement in measurements]),
        "requests_per_second": quartiles([measurement.requests_per_second for measurement in measurements]),
        "p50_ms": quartiles([measurement.latency_ms(0.5) for measurement in measurements]),
        "p95_ms": quartiles([measurement.latency_ms(0.95) for measurement in measurements]),
        "p99_ms": quartiles([measurement.latency_ms(0.99) for measurement in measurements]),
        "generator_share": quartiles([measurement.generator / measurement.seconds for measurement in measurements]),
    }
