"""State of one benchmark run: its environment, its plan and its results so far."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import dataset
from benchmarks.load_generator import generate_load
from benchmarks.measurement import Measurement, measure
from benchmarks.paired_statistics import Quartiles
from benchmarks.plan import Plan
from benchmarks.routes import LOCATION_BATCH, Route
from benchmarks.servers import Environment, Server, migrate, start_service
from benchmarks.users import BenchmarkUser, bearer_tokens, create_drf_tokens, create_users

TEMPLATE_DATABASE = "template_db"  # the other databases are copies of it
MAIN_DATABASE = "main"  # all servers share it


@dataclass
class BenchmarkRun:
    """One run.

    `figures` is written to bench.json unchanged. `results` maps the names of figures that may have a target to values.
    `startups` maps servers to the CPU seconds of each start.
    """

    environment: Environment
    plan: Plan
    users: list[BenchmarkUser] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    startups: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    results: dict[str, Quartiles] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def log(self, text: str) -> None:
        """Print progress, with the seconds since the start."""
        print(f"{time.monotonic() - self.started:5.0f} s  {text}", flush=True)

    def record(self, name: str, value: Quartiles) -> None:
        """Store and print a figure that may have a target."""
        self.results[name] = value
        self.log(f"{name}: {value.median:.3f} ({value.low:.3f} to {value.high:.3f})")

    @contextmanager
    def running(self, server: Server) -> Iterator[Server]:
        """Set a server's tokens; stop the server at the end of the block."""
        self.startups[server.name].append(server.startup_cpu)
        with server.process:
            server.tokens = bearer_tokens(server.name, self.users)
            yield server

    def database_url(self, database: str = MAIN_DATABASE) -> str:
        """Return the URL of a database."""
        url: str = self.environment.postgres.url(database)
        return url

    def prepare(self) -> None:
        """Create the tables with the service's migrations, and the users through its API."""
        self.log("creating tables and users through the service")
        self.environment.postgres.create_database(TEMPLATE_DATABASE)
        migrate(self.environment, TEMPLATE_DATABASE)
        with self.running(start_service(self.environment, TEMPLATE_DATABASE)) as service:
            self.users = create_users(service)
        create_drf_tokens(self.database_url(TEMPLATE_DATABASE), self.users)
        self.environment.postgres.create_database(MAIN_DATABASE, template=TEMPLATE_DATABASE)

    def warm_up(self, servers: Sequence[Server], route: Route) -> None:
        """Check one response of each server, then put load on it for the plan's warm-up time."""
        for server in servers:
            server.request(route, server.tokens[0])
            if self.plan.warm_up:
                generate_load(server.port, route.raw_requests(server.tokens), self.plan.warm_up, route.connections)

    def measure(self, server: Server, route: Route, seconds: float = 0) -> Measurement:
        """Measure a server under load; `seconds` defaults to the plan's duration.

        Empty the table before batches, because it would grow with each measurement.
        """
        if route is LOCATION_BATCH:
            dataset.truncate(self.database_url())
        return measure(self.environment, server, route, seconds or self.plan.duration)
