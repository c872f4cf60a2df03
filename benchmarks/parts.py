"""What parts of the service cost: the service in pairs with itself without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.bench import MAIN, Bench
from benchmarks.pairs import alternate, ratio, turned
from benchmarks.routes import HEALTH, LOCATION, PROFILE, Route
from benchmarks.servers import SERVICE, UNSEEN, start_service
from benchmarks.windows import Window

PARTS: dict[str, dict[str, str]] = {
    "without log lines": {"LOG_LEVEL": "WARNING"},
    "without limits": {"RATELIMIT_ENABLED": "false"},
    "without traces": {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    "without query profiler": {"ENABLE_DB_PROFILING": "false"},
}


def compare_with_parts(bench: Bench) -> None:
    """Pair the service with one that is neither traced nor profiled, and with one without each part."""
    few, many = bench.plan.part_rounds, bench.plan.fine_rounds
    _compare(bench, "unseen", UNSEEN, {PROFILE: many, LOCATION: few})
    for name, settings in PARTS.items():
        _compare(bench, name, settings, {PROFILE: few, HEALTH: few})


def _compare(bench: Bench, name: str, settings: Mapping[str, str], rounds: Mapping[Route, int]) -> None:
    """Pair new processes, several times, since two of one program may differ by more than a part costs.

    They take turns in starting first, since of two alike the first tends to be the dearer.
    """
    pairs: defaultdict[Route, list[tuple[Window, ...]]] = defaultdict(list)
    sides: list[tuple[str, Mapping[str, str]]] = [("whole", {}), (name, settings)]
    for number in range(bench.plan.fresh):
        with ExitStack() as stack:
            started = [
                stack.enter_context(bench.running(start_service(bench.ground, MAIN, name=f"{SERVICE}, {what}", **told)))
                for what, told in turned(sides, number)
            ]
            both = turned(started, number)
            for route, times in rounds.items():
                bench.warm_up(both, route)
                pairs[route] += alternate([partial(bench.take, server, route) for server in both], times)
    for route, found in pairs.items():
        bench.judge(f"{route.name}: everything on / {name}", ratio(found, lambda window: window.cpu))
