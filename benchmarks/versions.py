"""Compare the CPU time of requests with an earlier version.

`python -m benchmarks.versions --service FOLDER --earlier FOLDER [--plan full|quick|smoke]`. Both versions run on the
libraries of the newer one, with one PostgreSQL and one Redis; each has its own database.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.load_generator import RequestFailedError
from benchmarks.otlp_receiver import otlp_receiver
from benchmarks.paired_statistics import alternate, paired_ratio
from benchmarks.plan import PLANS
from benchmarks.routes import HEALTH_CHECK, LOCATION_WRITE, PROFILE_READ
from benchmarks.run import BenchmarkRun
from benchmarks.servers import SERVICE, Environment, Server, migrate, start_service
from benchmarks.service_app import ServerError, start_postgres, start_redis
from benchmarks.users import create_users

ROUTES = (PROFILE_READ, LOCATION_WRITE, HEALTH_CHECK)
MAX_CONNECTIONS = 250  # of PostgreSQL


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="benchmarks.versions", description=__doc__)
    parser.add_argument("--service", type=Path, required=True, help="folder of a baked service")
    parser.add_argument("--earlier", type=Path, required=True, help="folder of a bake of an earlier version")
    parser.add_argument("--plan", choices=PLANS, default="full")
    return parser.parse_args()


def start_version(run: BenchmarkRun, stack: ExitStack, name: str) -> Server:
    """Start a version on a database of its own, with users."""
    database = name.replace(" ", "_")
    run.environment.postgres.create_database(database)
    migrate(run.environment, database)
    server = start_service(run.environment, database, name=name)
    stack.enter_context(server.process)
    server.tokens = [user.service_token for user in create_users(server)]
    return server


def compare(options: argparse.Namespace) -> None:
    """Print the ratio of the CPU time of both versions for each route."""
    with start_postgres(max_connections=MAX_CONNECTIONS) as postgres, start_redis() as redis, otlp_receiver() as otlp:
        folders = {SERVICE: options.service.resolve(), f"{SERVICE} earlier": options.earlier.resolve()}
        runs = {
            name: BenchmarkRun(Environment(postgres, redis, otlp, folder, folder), PLANS[options.plan])
            for name, folder in folders.items()
        }
        run = runs[SERVICE]
        with ExitStack() as stack:
            servers = [start_version(of_version, stack, name) for name, of_version in runs.items()]
            for route in ROUTES:
                run.warm_up(servers, route)
                pairs = alternate([partial(run.measure, server, route) for server in servers], run.plan.rounds)
                run.record(f"{route.name}: service / earlier", paired_ratio(pairs, lambda measured: measured.cpu_ms))


def main() -> None:
    """Run the comparison; SIGTERM and Ctrl-C stop every server and print no traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        compare(parse_arguments())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except (RequestFailedError, ServerError, TimeoutError) as error:
        sys.exit(f"Comparison failed: {error}")


if __name__ == "__main__":
    main()
