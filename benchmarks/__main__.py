"""Measures: `python -m benchmarks --service FOLDER --peers VENV [--plan full|quick|smoke] [--results FILE]`.

Runs on the Python of the baked service's own environment, with the service's folder on the module path.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.servers import ServerError, start_postgres, start_redis

from benchmarks.bench import Bench
from benchmarks.comparisons import compare_with_copy, compare_with_peers
from benchmarks.growth import grow
from benchmarks.load import NotAnsweredError
from benchmarks.parts import compare_with_parts
from benchmarks.plan import PLANS
from benchmarks.receiver import receiver
from benchmarks.report import lines, write
from benchmarks.servers import Ground, start_service
from benchmarks.weights import start_repeatedly, weigh_service

CONNECTIONS = 250  # of PostgreSQL


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--service", type=Path, required=True, help="a baked service")
    parser.add_argument("--peers", type=Path, required=True, help="a virtual environment with requirements.txt")
    parser.add_argument("--plan", choices=PLANS, default="full")
    parser.add_argument("--results", type=Path, default=Path("build/bench.json"))
    return parser.parse_args()


def measure(bench: Bench) -> None:
    """Measure everything."""
    bench.prepare()
    with bench.running(start_service(bench.ground, "main")) as service:
        compare_with_peers(bench, service)
        compare_with_copy(bench, service)
        weigh_service(bench, service)
    compare_with_parts(bench)
    start_repeatedly(bench)
    grow(bench)


def run(chosen: argparse.Namespace) -> None:
    """Measure, say what was found, and write it."""
    with start_postgres(max_connections=CONNECTIONS) as postgres, start_redis() as redis, receiver() as traces:
        ground = Ground(postgres, redis, traces, chosen.service.resolve(), chosen.peers.resolve())
        bench = Bench(ground, PLANS[chosen.plan])
        measure(bench)
        print(*lines(bench), sep="\n")
        write(bench, chosen.results)
    print(f"Written to {chosen.results}.")


def main() -> None:
    """Run; a request to stop ends every server too and shows no traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(arguments())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except (NotAnsweredError, ServerError, TimeoutError) as error:
        sys.exit(f"Not measured: {error}")


if __name__ == "__main__":
    main()
