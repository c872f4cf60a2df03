"""The service on tables of different sizes: one database and one service per size, all running at the same time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from benchmarks import dataset
from benchmarks.measurement import Measurement, summarize
from benchmarks.paired_statistics import alternate, paired_ratio
from benchmarks.routes import ACTIVE_USERS, CACHED_ACTIVE_USERS, LOCATION_WRITE
from benchmarks.run import TEMPLATE_DATABASE, BenchmarkRun
from benchmarks.servers import Server, start_service

CONNECTIONS = 2  # few, so that latency is the response time without queueing


def measure_scaling(run: BenchmarkRun) -> None:
    """Measure how reads of active users and location writes depend on the size of the table."""
    for size in run.plan.table_sizes:
        run.log(f"inserting {size:,} rows")
        run.environment.postgres.create_database(f"rows_{size}", template=TEMPLATE_DATABASE)
        dataset.populate(run.database_url(f"rows_{size}"), size)
    with ExitStack() as stack:
        _measure(run, [stack.enter_context(run.running(_start(run, size))) for size in run.plan.table_sizes])


def _start(run: BenchmarkRun, size: int) -> Server:
    # Each service has its own Redis database, because a shared one would mix their cache entries.
    redis = run.environment.redis.url.removesuffix("/0")
    return start_service(run.environment, f"rows_{size}", REDIS_URL=f"{redis}/{run.plan.table_sizes.index(size)}")


def _measure(run: BenchmarkRun, services: list[Server]) -> None:
    smallest, largest = run.plan.table_sizes[0], run.plan.table_sizes[-1]
    run.figures["scaling"] = {}
    for original in (ACTIVE_USERS, CACHED_ACTIVE_USERS, LOCATION_WRITE):
        route = replace(original, connections=CONNECTIONS)
        run.warm_up(services, route)
        seconds = run.plan.percentile_duration if original is ACTIVE_USERS else run.plan.duration
        rounds = alternate([partial(run.measure, service, route, seconds) for service in services], run.plan.rounds)
        run.record(
            f"{route.name}: p95 at {largest:,} rows / at {smallest:,}",
            paired_ratio([(measurements[-1], measurements[0]) for measurements in rounds], _p95),
        )
        run.figures["scaling"][route.name] = {
            str(size): summarize(list(measurements))
            for size, measurements in zip(run.plan.table_sizes, zip(*rounds, strict=True), strict=True)
        }


def _p95(measurement: Measurement) -> float:
    return measurement.latency_ms(0.95)
