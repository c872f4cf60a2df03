"""Run the benchmark: `python -m benchmarks --service FOLDER --peers VENV [--plan full|quick|smoke] [--results FILE]`.

It runs on the Python of the baked service's own environment, with the service's folder on the module path.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.comparisons import compare_with_copy, compare_with_peers
from benchmarks.feature_costs import measure_feature_costs
from benchmarks.footprint import measure_service_memory, measure_startup
from benchmarks.load_generator import RequestFailedError
from benchmarks.otlp_receiver import otlp_receiver
from benchmarks.plan import PLANS
from benchmarks.report import report_lines, write_json
from benchmarks.run import BenchmarkRun
from benchmarks.scaling import measure_scaling
from benchmarks.servers import Environment, start_service
from benchmarks.service_app import ServerError, start_postgres, start_redis

MAX_CONNECTIONS = 250  # of PostgreSQL


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--service", type=Path, required=True, help="folder of a baked service")
    parser.add_argument("--peers", type=Path, required=True, help="virtual environment with requirements.txt installed")
    parser.add_argument("--plan", choices=PLANS, default="full")
    parser.add_argument("--results", type=Path, default=Path("build/bench.json"))
    return parser.parse_args()


def measure_all(run: BenchmarkRun) -> None:
    """Take every measurement."""
    run.prepare()
    with run.running(start_service(run.environment, "main")) as service:
        compare_with_peers(run, service)
        compare_with_copy(run, service)
        measure_service_memory(run, service)
    measure_feature_costs(run)
    measure_startup(run)
    measure_scaling(run)


def run_benchmark(options: argparse.Namespace) -> None:
    """Measure, print the report and write the JSON file."""
    with start_postgres(max_connections=MAX_CONNECTIONS) as postgres, start_redis() as redis, otlp_receiver() as otlp:
        environment = Environment(postgres, redis, otlp, options.service.resolve(), options.peers.resolve())
        run = BenchmarkRun(environment, PLANS[options.plan])
        measure_all(run)
        print(*report_lines(run), sep="\n")
        write_json(run, options.results)
    print(f"Results written to {options.results}.")


def main() -> None:
    """Run the benchmark; SIGTERM and Ctrl-C stop every server and print no traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run_benchmark(parse_arguments())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except (RequestFailedError, ServerError, TimeoutError) as error:
        sys.exit(f"Benchmark failed: {error}")


if __name__ == "__main__":
    main()
