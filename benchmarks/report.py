"""Report of a run: tables for the terminal, and bench.json for programs."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import dataset
from benchmarks.paired_statistics import Quartiles
from benchmarks.run import BenchmarkRun
from benchmarks.servers import SERVICE
from benchmarks.targets import Target, evaluate_targets
from benchmarks.text_table import format_quartiles, format_table

COLUMNS = {
    "cpu_ms": "CPU ms",
    "database_ms": "database",
    "redis_ms": "Redis",
    "requests_per_second": "requests/s",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
}
PRINT_VERSION = "import platform; print(platform.python_version())"


def machine(run: BenchmarkRun) -> dict[str, Any]:
    """Return the hardware and software that the figures depend on."""
    processor = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    with dataset.connect(run.database_url()) as connection:
        postgresql = connection.info.server_version // 10_000
    peers_python = [str(run.environment.peers / "bin" / "python"), "-c", PRINT_VERSION]
    return {
        "processor": processor[0].partition(":")[2].strip() if processor else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "peers_python": subprocess.run(peers_python, capture_output=True, text=True, check=True).stdout.strip(),
        "postgresql": postgresql,
        "load_average": os.getloadavg(),
    }


def _header(run: BenchmarkRun) -> Iterator[str]:
    found = machine(run)
    yield ""
    yield (
        f"Service on Python {found['python']}, peers on Python {found['peers_python']}, "
        f"PostgreSQL {found['postgresql']}, {found['cores']} cores of {found['processor']}"
    )


def _row(name: str, figures: Mapping[str, Quartiles]) -> list[str]:
    return [name, *(f"{figures[column].median:.{0 if 'second' in column else 2}f}" for column in COLUMNS)]


def _route_tables(run: BenchmarkRun) -> Iterator[str]:
    for route, by_server in run.figures["routes"].items():
        rows = [[*_row(SERVICE, by_server[SERVICE]), ""]]
        rows += [
            [*_row(name, figures), format_quartiles(run.results[f"{route}: service / {name}"])]
            for name, figures in by_server.items()
            if name != SERVICE
        ]
        yield ""
        yield from format_table([route, *COLUMNS.values(), "CPU of service / this (quartiles)"], rows)


def _generator_share(run: BenchmarkRun) -> float:
    figures = [figures for by_server in run.figures["routes"].values() for figures in by_server.values()]
    return max(float(each["generator_share"].median) for each in figures)


def _scaling_tables(run: BenchmarkRun) -> Iterator[str]:
    for route, by_size in run.figures["scaling"].items():
        rows = [_row(f"{int(size):,}", figures) for size, figures in by_size.items()]
        yield ""
        yield from format_table([f"{route}, table rows", *COLUMNS.values()], rows)


def _other_tables(run: BenchmarkRun) -> Iterator[str]:
    yield ""
    inserts = run.figures["bulk_insert"].items()
    rows = [[name, f"{i['rows_per_second'].median:.0f}", f"{i['cpu_us_per_row'].median:.1f}"] for name, i in inserts]
    yield from format_table(["bulk insert", "rows/s", "CPU us per row"], rows)
    yield ""
    memory = run.figures["memory"].items()
    rows = [[name, f"{m['uss_per_worker']:.1f}", f"{m['whole_server']:.1f}"] for name, m in memory]
    yield from format_table(["memory, MB", "USS per worker", "whole server"], rows)
    yield ""
    rows = [[name, format_quartiles(value)] for name, value in run.results.items() if not name.count(": service / ")]
    yield from format_table(["other figures", "median (quartiles)"], rows)


def _target_table(targets: Sequence[Target]) -> Iterator[str]:
    rows = [
        [target.name, f"{target.value:.2f}", f"{target.bound} {target.limit:g}", "met" if target.met else "NOT MET"]
        for target in targets
    ]
    yield ""
    yield from format_table(["target", "value", "limit", ""], rows)
    missed = [target.name for target in targets if not target.met]
    yield ""
    yield f"Not met: {'; '.join(missed)}." if missed else "All targets are met."


def report_lines(run: BenchmarkRun) -> Iterator[str]:
    """Yield all tables and the verdict on each target."""
    yield from _header(run)
    yield from _route_tables(run)
    yield from _scaling_tables(run)
    yield from _other_tables(run)
    yield ""
    yield f"The load generator used at most {_generator_share(run):.0%} of a core."
    yield from _target_table(evaluate_targets(run.results, run.plan.table_sizes))


def write_json(run: BenchmarkRun, path: Path) -> None:
    """Write all results to a JSON file."""
    targets = evaluate_targets(run.results, run.plan.table_sizes)
    document = {
        "targets": [dataclasses.asdict(target) | {"met": target.met} for target in targets],
        "rounds": run.plan.rounds,
        "machine": machine(run),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": run.plan,
        "results": run.results,
        "figures": run.figures,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(document, indent=2, default=dataclasses.asdict)}\n", encoding="utf-8")
