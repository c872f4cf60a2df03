"""A run: what it stands on, how far it goes, and what it has found so far."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import data
from benchmarks.load import drive
from benchmarks.pairs import Spread
from benchmarks.people import Person, keep_opaque_tokens, sign_in_people, tokens_for
from benchmarks.plan import Plan
from benchmarks.routes import BATCH_OF_LOCATIONS, Route
from benchmarks.servers import Ground, Server, migrate, start_service
from benchmarks.windows import Window, take

ORIGIN, MAIN = "origin", "main"  # databases: the one that others are copies of, and the one that all servers share


@dataclass
class Bench:
    """`figures` goes to bench.json as it is; `judged` holds what targets are set for, by name.

    `starts` holds the CPU seconds of each start, by server.
    """

    ground: Ground
    plan: Plan
    people: list[Person] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    judged: dict[str, Spread] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def say(self, sentence: str) -> None:
        """Tell how far it is."""
        print(f"{time.monotonic() - self.started:5.0f} s  {sentence}", flush=True)

    def judge(self, name: str, found: Spread) -> None:
        """Keep a figure that a target may be set for, and tell it."""
        self.judged[name] = found
        self.say(f"{name}: {found.median:.3f} ({found.low:.3f} to {found.high:.3f})")

    @contextmanager
    def running(self, server: Server) -> Iterator[Server]:
        """Let a server run for the block, and hand it its tokens."""
        self.starts[server.name].append(server.start_cpu)
        with server.process:
            server.tokens = tokens_for(server.name, self.people)
            yield server

    def address(self, database: str = MAIN) -> str:
        """Return the address of a database."""
        address: str = self.ground.postgres.url(database)
        return address

    def prepare(self) -> None:
        """Make the tables and the users, through the service."""
        self.say("making tables and users, through the service")
        self.ground.postgres.create_database(ORIGIN)
        migrate(self.ground, ORIGIN)
        with self.running(start_service(self.ground, ORIGIN)) as service:
            self.people = sign_in_people(service)
        keep_opaque_tokens(self.address(ORIGIN), self.people)
        self.ground.postgres.create_database(MAIN, template=ORIGIN)

    def warm_up(self, servers: Sequence[Server], route: Route) -> None:
        """See that each server answers as it should, and let it do so for a while."""
        for server in servers:
            server.ask(route, server.tokens[0])
            if self.plan.warm_up:
                drive(server.port, route.messages(server.tokens), self.plan.warm_up, route.connections)

    def take(self, server: Server, route: Route, seconds: float = 0) -> Window:
        """Put load on a server for a window; before batches the table is emptied, or else it would grow and grow."""
        if route is BATCH_OF_LOCATIONS:
            data.empty(self.address())
        return take(self.ground, server, route, seconds or self.plan.window)
