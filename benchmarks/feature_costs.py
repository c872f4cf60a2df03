"""Cost of the service's features: the service compared with itself without one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.measurement import Measurement
from benchmarks.paired_statistics import alternate, paired_ratio, reversed_if_odd
from benchmarks.routes import HEALTH_CHECK, LOCATION_WRITE, PROFILE_READ, Route
from benchmarks.run import MAIN_DATABASE, BenchmarkRun
from benchmarks.servers import SERVICE, TRACING_AND_PROFILER_OFF, start_service

VARIANTS: dict[str, dict[str, str]] = {
    "without logging": {"LOG_LEVEL": "WARNING"},
    "without rate limits": {"RATELIMIT_ENABLED": "false"},
    "without tracing": {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    "without query profiler": {"ENABLE_DB_PROFILING": "false"},
}


def measure_feature_costs(run: BenchmarkRun) -> None:
    """Compare the service with one without tracing and query profiler, and with one without each feature."""
    feature_rounds, tracing_rounds = run.plan.feature_rounds, run.plan.tracing_rounds
    _compare(
        run,
        "without tracing and query profiler",
        TRACING_AND_PROFILER_OFF,
        {PROFILE_READ: tracing_rounds, LOCATION_WRITE: feature_rounds},
    )
    for name, settings in VARIANTS.items():
        _compare(run, name, settings, {PROFILE_READ: feature_rounds, HEALTH_CHECK: feature_rounds})


def _compare(run: BenchmarkRun, name: str, settings: Mapping[str, str], rounds: Mapping[Route, int]) -> None:
    """Compare several pairs of new processes: two processes of one program may differ by more than a feature costs.

    The two variants alternate in starting first, because the first of two equal processes tends to be slower.
    """
    pairs: defaultdict[Route, list[tuple[Measurement, ...]]] = defaultdict(list)
    variants: list[tuple[str, Mapping[str, str]]] = [("all features", {}), (name, settings)]
    for number in range(run.plan.process_pairs):
        with ExitStack() as stack:
            started = [
                stack.enter_context(
                    run.running(start_service(run.environment, MAIN_DATABASE, name=f"{SERVICE}, {variant}", **changes))
                )
                for variant, changes in reversed_if_odd(variants, number)
            ]
            servers = reversed_if_odd(started, number)
            for route, count in rounds.items():
                run.warm_up(servers, route)
                pairs[route] += alternate([partial(run.measure, server, route) for server in servers], count)
    for route, measured in pairs.items():
        run.record(
            f"{route.name}: all features / {name}", paired_ratio(measured, lambda measurement: measurement.cpu_ms)
        )
