"""What a run says at its end: tables to read, and a file for programs."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.pairs import Spread
from benchmarks.servers import SERVICE
from benchmarks.tables import short, table
from benchmarks.targets import Target, targets

COLUMNS = {
    "cpu_ms": "CPU ms",
    "database_ms": "database",
    "redis_ms": "Redis",
    "requests_per_second": "answers/s",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
}


def machine(bench: Bench) -> dict[str, Any]:
    """Return what the figures were found on."""
    processor = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    with data.connect(bench.address()) as connection:
        postgresql = connection.info.server_version // 10_000
    return {
        "processor": processor[0].partition(":")[2].strip() if processor else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": postgresql,
        "load_average": os.getloadavg(),
    }


def _row(name: str, found: Mapping[str, Spread]) -> list[str]:
    return [name, *(f"{found[column].median:.{0 if 'second' in column else 2}f}" for column in COLUMNS)]


def _routes(bench: Bench) -> Iterator[str]:
    for route, by_server in bench.figures["routes"].items():
        rows = [[*_row(SERVICE, by_server[SERVICE]), ""]]
        rows += [
            [*_row(name, found), short(bench.judged[f"{route}: service / {name}"])]
            for name, found in by_server.items()
            if name != SERVICE
        ]
        yield ""
        yield from table([route, *COLUMNS.values(), "service / it, in CPU (quartiles)"], rows)


def _generator_share(bench: Bench) -> float:
    found = [found for by_server in bench.figures["routes"].values() for found in by_server.values()]
    return max(float(each["generator_share"].median) for each in found)


def _growth(bench: Bench) -> Iterator[str]:
    for route, by_size in bench.figures["growth"].items():
        yield ""
        yield from table(
            [f"{route}, at rows", *COLUMNS.values()], [_row(f"{int(size):,}", found) for size, found in by_size.items()]
        )


def _others(bench: Bench) -> Iterator[str]:
    yield ""
    inflow = bench.figures["inflow"].items()
    rows = [[name, f"{i['rows_per_second'].median:.0f}", f"{i['cpu_us_per_row'].median:.1f}"] for name, i in inflow]
    yield from table(["many rows", "rows/s", "CPU us per row"], rows)
    yield ""
    weights = bench.figures["memory"].items()
    rows = [[name, f"{w['unshared_per_worker']:.1f}", f"{w['whole_server']:.1f}"] for name, w in weights]
    yield from table(["memory, MB", "a worker's own", "whole server"], rows)
    yield ""
    rows = [[name, short(found)] for name, found in bench.judged.items() if not name.count(": service / ")]
    yield from table(["also", "median (quartiles)"], rows)


def _verdicts(found: Sequence[Target]) -> Iterator[str]:
    rows = [
        [target.name, f"{target.value:.2f}", f"{target.sense} {target.limit:g}", "met" if target.met else "NOT MET"]
        for target in found
    ]
    yield ""
    yield from table(["target", "found", "limit", ""], rows)
    missed = [target.name for target in found if not target.met]
    yield ""
    yield f"Not met: {'; '.join(missed)}." if missed else "All targets are met."


def lines(bench: Bench) -> Iterator[str]:
    """Yield everything that was found, and which targets were met."""
    yield from _routes(bench)
    yield from _growth(bench)
    yield from _others(bench)
    yield ""
    yield f"The load generator took at most {_generator_share(bench):.0%} of a core."
    yield from _verdicts(targets(bench.judged, bench.plan.sizes))


def write(bench: Bench, path: Path) -> None:
    """Write everything to a file as JSON."""
    found = targets(bench.judged, bench.plan.sizes)
    document = {
        "targets": [dataclasses.asdict(target) | {"met": target.met} for target in found],
        "rounds": bench.plan.rounds,
        "machine": machine(bench),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": bench.plan,
        "judged": bench.judged,
        "figures": bench.figures,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(document, indent=2, default=dataclasses.asdict)}\n", encoding="utf-8")
