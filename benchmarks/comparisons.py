"""Paired comparisons of the service with its peers and with PostgreSQL's COPY."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks import dataset
from benchmarks.footprint import measure_memory
from benchmarks.measurement import Measurement, summarize
from benchmarks.paired_statistics import alternate, paired_ratio, quartiles
from benchmarks.process_stats import cpu_seconds
from benchmarks.response_checks import check_responses
from benchmarks.routes import BATCH_SIZE, COMPARED_ROUTES, LOCATION_BATCH, Route
from benchmarks.run import MAIN_DATABASE, BenchmarkRun
from benchmarks.servers import PEER_COMMANDS, SERVICE, Server, start_peer


def compare_with_peers(run: BenchmarkRun, service: Server) -> None:
    """Compare the service with each peer on each route; all servers run the whole time."""
    with ExitStack() as stack:
        peers = [
            stack.enter_context(run.running(start_peer(run.environment, MAIN_DATABASE, name))) for name in PEER_COMMANDS
        ]
        for server in (service, *peers):
            check_responses(run, server)
        run.log("all servers return correct responses")
        for route in COMPARED_ROUTES:
            run.warm_up([service, *peers], route)
            of_service = [measurement for peer in peers for measurement in compare(run, service, peer, route)]
            run.figures["routes"][route.name][SERVICE] = summarize(of_service)
        run.figures["memory"] = {peer.name: measure_memory(peer) for peer in peers}


def compare(run: BenchmarkRun, service: Server, peer: Server, route: Route) -> list[Measurement]:
    """Compare the service with a peer on a route; returns the measurements of the service."""
    pairs = alternate([partial(run.measure, server, route) for server in (service, peer)], run.plan.rounds)
    run.record(f"{route.name}: service / {peer.name}", paired_ratio(pairs, lambda measurement: measurement.cpu_ms))
    by_server = run.figures.setdefault("routes", {}).setdefault(route.name, {})
    by_server[peer.name] = summarize([of_peer for _, of_peer in pairs])
    return [of_service for of_service, _ in pairs]


@dataclass(frozen=True)
class BulkInsert:
    """Inserted rows and their cost."""

    rows: int
    seconds: float
    cpu: float  # seconds of every process but the client

    @property
    def rows_per_second(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    @property
    def cpu_us_per_row(self) -> float:
        """CPU microseconds per row."""
        return self.cpu / self.rows * 1e6


def compare_with_copy(run: BenchmarkRun, service: Server) -> None:
    """Compare the batch route with COPY, which sends 20,000 rows per statement over one connection."""
    payload = dataset.copy_payload(run.users[0].user_id)
    run.warm_up([service], LOCATION_BATCH)
    pairs = alternate([partial(_send_batches, run, service), partial(_copy, run, payload)], run.plan.rounds)
    run.record(
        "batch of 1000: rows per second, service / COPY", paired_ratio(pairs, lambda insert: insert.rows_per_second)
    )
    run.figures["bulk_insert"] = {
        name: {
            "rows_per_second": quartiles([insert.rows_per_second for insert in inserts]),
            "cpu_us_per_row": quartiles([insert.cpu_us_per_row for insert in inserts]),
        }
        for name, inserts in zip((SERVICE, "COPY"), zip(*pairs, strict=True), strict=True)
    }


def _send_batches(run: BenchmarkRun, service: Server) -> BulkInsert:
    measurement = run.measure(service, LOCATION_BATCH)
    cpu = measurement.server + measurement.database + measurement.redis
    return BulkInsert(measurement.requests * BATCH_SIZE, measurement.seconds, cpu)


def _copy(run: BenchmarkRun, payload: bytes) -> BulkInsert:
    dataset.truncate(run.database_url())
    with dataset.connect(run.database_url()) as connection:
        before, start, rows = cpu_seconds(run.environment.postgres.pid), time.perf_counter(), 0
        while time.perf_counter() < start + run.plan.duration:
            rows += dataset.copy(connection, payload)
        seconds = time.perf_counter() - start
        return BulkInsert(rows, seconds, cpu_seconds(run.environment.postgres.pid) - before)
