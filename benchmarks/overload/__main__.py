"""Print the overload table: `python -m benchmarks.overload --service FOLDER [--seconds 15] [--only PATTERN]`.

Four processes of four threads serve a baked service in production mode, with a real PostgreSQL and Redis. During each
scenario, `/health`, `/ready` and another user's read are requested from another address. The exit status is 0 if every
target is met.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import dataset
from benchmarks.load_generator import RequestFailedError
from benchmarks.otlp_receiver import otlp_receiver
from benchmarks.overload.probes import Probes, probing
from benchmarks.overload.requests import Flood, FloodRequest, bearer, json_request, send, upload_request
from benchmarks.overload.scenarios import BATCH, LOGIN, POSITION, SCENARIOS, Scenario, Target, spool_folder
from benchmarks.plan import PLANS
from benchmarks.process_stats import memory_mb, process_tree
from benchmarks.run import TEMPLATE_DATABASE, BenchmarkRun
from benchmarks.servers import GUNICORN_COMMAND, Environment, Server, start_service, wait_until_idle
from benchmarks.service_app import OVERLOAD_SETTINGS, ServerError, start_nginx, start_postgres, start_redis
from benchmarks.text_table import format_table
from benchmarks.users import PASSWORD

PROBE_SECONDS, READ_SECONDS, MEMORY_GROWTH = 1.0, 2.0, 0.2  # targets
SETTINGS = {"GUNICORN_WORKERS": "4", "GUNICORN_THREADS": "4", "WEB_REPLICAS": "1"}
WARM_UP_REQUESTS = 40
HEADER = [
    "scenario",
    "/health p99, ms",
    "/ready p99, ms",
    "read p99, ms",
    "read 200",
    "read 503",
    "memory, MB",
    "killed",
]
HEADER += ["answers", "lost"]


@dataclass(frozen=True)
class Result:
    """What a scenario did to the service."""

    name: str
    probes: Probes
    flood: Flood
    memory: tuple[float, float]  # MB before and after
    killed: int  # processes
    lost: int  # accepted requests without a row

    @property
    def met(self) -> bool:
        """Whether every target is met."""
        served = self.probes.read.share(200, 503, within=READ_SECONDS)
        before, after = self.memory
        return (
            max(self.probes.health.p99, self.probes.ready.p99) <= PROBE_SECONDS
            and set(self.probes.health.statuses) == {200}
            and served >= 0.99  # noqa: PLR2004
            and after <= before * (1 + MEMORY_GROWTH)
            and self.killed == self.lost == 0
        )

    def row(self) -> list[str]:
        """Return the row of the table."""
        answers = ", ".join(f"{number} x {status or 'none'}" for status, number in sorted(self.flood.statuses.items()))
        probes = (self.probes.health, self.probes.ready, self.probes.read)
        read = [f"{self.probes.read.share(status, within=READ_SECONDS):.0%}" for status in (200, 503)]
        memory = "{:.0f} -> {:.0f}".format(*self.memory)
        return [
            f"{self.name}{'' if self.met else ' (!)'}",
            *(f"{probe.p99 * 1000:.0f}" for probe in probes),
            *read,
            memory,
            str(self.killed),
            answers or "-",
            str(self.lost),
        ]


def workers(server: Server) -> set[int]:
    """Return the pids of the processes that serve requests."""
    return set(server.process.children())


def memory(server: Server) -> float:
    """Return the memory of all processes in MB."""
    return sum(memory_mb(pid)["pss"] for pid in process_tree(server.process.pid))


def warm_up(target: Target) -> None:
    """Use every process: sign in, read, save positions and upload."""
    credentials = {"email": "benchmark-2@example.com", "password": PASSWORD}
    for _ in range(WARM_UP_REQUESTS):
        send(target.port, json_request(LOGIN, credentials))
        send(target.port, FloodRequest("GET", "/api/v1/users/me", headers=bearer(target.token)))
        send(target.port, json_request(BATCH, {"locations": [POSITION] * 1000}, target.token))
        send(target.port, upload_request(b"a,b\n" * 100_000, target.token))


def row_count(run: BenchmarkRun, database: str, table: str) -> int:
    """Return the number of rows; 0 without a table."""
    if not table:
        return 0
    with dataset.connect(run.database_url(database)) as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # a constant name
        return int(number)


@contextmanager
def running(run: BenchmarkRun, scenario: Scenario, database: str, storage: Path) -> Iterator[Target]:
    """Start the service on a new database, with the proxy in front of it if the scenario needs one."""
    with ExitStack() as stack:
        prefix = stack.enter_context(spool_folder(storage / "spool")) if scenario.small_spool else []
        files = storage / "files" / database  # a storage belongs to one database
        settings = {"STORAGE_URL": files.as_uri(), **SETTINGS, **dict.fromkeys(OVERLOAD_SETTINGS, "")}
        if scenario.proxy:
            settings["TRUSTED_PROXIES"] = "1"
        service = start_service(run.environment, database, [*prefix, *GUNICORN_COMMAND], **settings)
        server = stack.enter_context(run.running(service))
        port = stack.enter_context(start_nginx(server.port)).port if scenario.proxy else server.port
        yield Target(run, server, port)


def measure(run: BenchmarkRun, scenario: Scenario, seconds: float, folder: Path) -> Result:
    """Run one scenario."""
    database = f"overload_{SCENARIOS.index(scenario)}"
    run.environment.postgres.create_database(database, template=TEMPLATE_DATABASE)
    with running(run, scenario, database, folder / database) as target:
        warm_up(target)
        wait_until_idle(target.server)
        before = (memory(target.server), workers(target.server), row_count(run, database, scenario.table))
        with scenario.overload(target) as flood, probing(target.port, target.server.tokens[0]) as probes:
            time.sleep(seconds)
        wait_until_idle(target.server)
        rows = row_count(run, database, scenario.table) - before[2]
        flood = flood or Flood()
        lost = max(0, flood.accepted - rows) if scenario.table else 0
        killed = len(before[1] - workers(target.server))
        return Result(scenario.name, probes, flood, (before[0], memory(target.server)), killed, lost)


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="benchmarks.overload", description=__doc__)
    parser.add_argument("--service", type=Path, required=True, help="folder of a baked service")
    parser.add_argument("--seconds", type=float, default=15, help="duration of each scenario")
    parser.add_argument("--only", default="", help="scenarios whose name matches this regular expression")
    return parser.parse_args()


def run_scenarios(options: argparse.Namespace) -> bool:
    """Run the scenarios and print the table; return whether every target is met."""
    chosen = [scenario for scenario in SCENARIOS if re.search(options.only, scenario.name)]
    with (
        start_postgres(max_connections=200) as postgres,
        start_redis() as redis,
        otlp_receiver() as otlp,
        tempfile.TemporaryDirectory() as folder,
    ):
        run = BenchmarkRun(Environment(postgres, redis, otlp, options.service.resolve(), Path()), PLANS["quick"])
        run.prepare()
        results = []
        for scenario in chosen:
            run.log(scenario.name)
            results.append(measure(run, scenario, options.seconds, Path(folder)))
    print(*format_table(HEADER, [result.row() for result in results]), sep="\n")
    met = all(result.met for result in results)
    print("Every target is met." if met else "(!): a target is not met.")
    return met


def main() -> None:
    """Print the table; SIGTERM and Ctrl-C stop every server and print no traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        met = run_scenarios(parse_arguments())
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except (RequestFailedError, ServerError, TimeoutError) as error:
        sys.exit(f"Overload benchmark failed: {error}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
