"""The service on tables of different sizes, each in a database of its own, all of them up at the same time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from benchmarks import data
from benchmarks.bench import ORIGIN, Bench
from benchmarks.pairs import alternate, ratio
from benchmarks.routes import ACTIVE, ACTIVE_AGAIN, LOCATION
from benchmarks.servers import Server, start_service
from benchmarks.windows import Window, summary

GENTLE = 2  # connections, so that what is timed is the answer and not the queue before it


def grow(bench: Bench) -> None:
    """See how asking for active users, and saving a position, change with the size of the table."""
    for size in bench.plan.sizes:
        bench.say(f"making {size:,} rows")
        bench.ground.postgres.create_database(f"rows_{size}", template=ORIGIN)
        data.fill(bench.address(f"rows_{size}"), size)
    with ExitStack() as stack:
        _measure(bench, [stack.enter_context(bench.running(_start(bench, size))) for size in bench.plan.sizes])


def _start(bench: Bench, size: int) -> Server:
    # In a Redis of its own too: what one service keeps there is not for another one's answers.
    redis = bench.ground.redis.url.removesuffix("/0")
    return start_service(bench.ground, f"rows_{size}", REDIS_URL=f"{redis}/{bench.plan.sizes.index(size)}")


def _measure(bench: Bench, services: list[Server]) -> None:
    least, most = bench.plan.sizes[0], bench.plan.sizes[-1]
    bench.figures["growth"] = {}
    for asked in (ACTIVE, ACTIVE_AGAIN, LOCATION):
        route = replace(asked, connections=GENTLE)
        bench.warm_up(services, route)
        seconds = bench.plan.long_window if asked is ACTIVE else bench.plan.window
        measures = [partial(bench.take, service, route, seconds) for service in services]
        rounds = alternate(measures, bench.plan.rounds)
        bench.judge(
            f"{route.name}: p95 at {most:,} rows / at {least:,}",
            ratio([(windows[-1], windows[0]) for windows in rounds], _p95),
        )
        bench.figures["growth"][route.name] = {
            str(size): summary(list(windows))
            for size, windows in zip(bench.plan.sizes, zip(*rounds, strict=True), strict=True)
        }


def _p95(window: Window) -> float:
    return window.latency(0.95)
