"""The service in pairs: with its peers, and with PostgreSQL's COPY."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks import data
from benchmarks.answers import check
from benchmarks.bench import MAIN, Bench
from benchmarks.cost import cpu_seconds
from benchmarks.pairs import alternate, ratio, spread
from benchmarks.routes import BATCH, BATCH_OF_LOCATIONS, COMPARED, Route
from benchmarks.servers import PEER_COMMANDS, SERVICE, Server, start_peer
from benchmarks.weights import weigh
from benchmarks.windows import Window, summary


def compare_with_peers(bench: Bench, service: Server) -> None:
    """Pair the service with each of its peers, route by route; all of them are up all the time."""
    with ExitStack() as stack:
        peers = [stack.enter_context(bench.running(start_peer(bench.ground, MAIN, name))) for name in PEER_COMMANDS]
        for server in (service, *peers):
            check(bench, server)
        bench.say("every server answers as it should")
        for route in COMPARED:
            bench.warm_up([service, *peers], route)
            own = [window for peer in peers for window in compare(bench, service, peer, route)]
            bench.figures["routes"][route.name][SERVICE] = summary(own)
        bench.figures["memory"] = {peer.name: weigh(peer) for peer in peers}


def compare(bench: Bench, service: Server, peer: Server, route: Route) -> list[Window]:
    """Pair the service with a peer on a route; returns the service's windows."""
    measures = [partial(bench.take, server, route) for server in (service, peer)]
    pairs = alternate(measures, bench.plan.rounds)
    bench.judge(f"{route.name}: service / {peer.name}", ratio(pairs, lambda window: window.cpu))
    found = bench.figures.setdefault("routes", {}).setdefault(route.name, {})
    found[peer.name] = summary([theirs for _, theirs in pairs])
    return [mine for mine, _ in pairs]


@dataclass(frozen=True)
class Inflow:
    """Rows that went in, and what that took."""

    rows: int
    seconds: float
    cpu: float  # seconds of everybody who had a part in it but the one who sent

    @property
    def rate(self) -> float:
        """Rows in a second."""
        return self.rows / self.seconds

    @property
    def cost(self) -> float:
        """CPU microseconds for a row."""
        return self.cpu / self.rows * 1e6


def compare_with_copy(bench: Bench, service: Server) -> None:
    """Pair the batch route with COPY: one statement of 20 000 rows after the other, on one connection."""
    rows = data.copied_rows(bench.people[0].user_id)
    bench.warm_up([service], BATCH_OF_LOCATIONS)
    pairs = alternate([partial(_send_batches, bench, service), partial(_copy, bench, rows)], bench.plan.rounds)
    bench.judge("batch of 1000: rows in a second, service / COPY", ratio(pairs, lambda inflow: inflow.rate))
    bench.figures["inflow"] = {
        name: {"rows_per_second": spread([i.rate for i in each]), "cpu_us_per_row": spread([i.cost for i in each])}
        for name, each in zip((SERVICE, "COPY"), zip(*pairs, strict=True), strict=True)
    }


def _send_batches(bench: Bench, service: Server) -> Inflow:
    window = bench.take(service, BATCH_OF_LOCATIONS)
    return Inflow(window.requests * BATCH, window.seconds, window.server + window.database + window.redis)


def _copy(bench: Bench, rows: bytes) -> Inflow:
    data.empty(bench.address())
    with data.connect(bench.address()) as connection:
        before, start, count = cpu_seconds(bench.ground.postgres.pid), time.perf_counter(), 0
        while time.perf_counter() < start + bench.plan.window:
            count += data.copy(connection, rows)
        seconds = time.perf_counter() - start
        return Inflow(count, seconds, cpu_seconds(bench.ground.postgres.pid) - before)
