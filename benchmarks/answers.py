"""Whether servers do what they are measured at: a fast wrong answer is worth nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.load import NotAnsweredError
from benchmarks.routes import BATCH, BATCH_OF_LOCATIONS, HEALTH, LOCATION, PLACE, PROFILE, Route
from benchmarks.servers import Server


def check(bench: Bench, server: Server) -> None:
    """Ask for everything once, and look into the database; raises NotAnsweredError if anything is wrong."""
    person, token = bench.people[1], server.tokens[1]
    refused = dataclasses.replace(PROFILE, status=401, holds="")
    server.ask(refused, f"{token[:-4]}AAAA")
    before = _rows_of(bench, person.user_id)
    answers = [json.loads(server.ask(route, token)) for route in (HEALTH, PROFILE, LOCATION, BATCH_OF_LOCATIONS)]
    health, profile, location, batch = answers
    saved = _rows_of(bench, person.user_id) - before
    _expect(server, HEALTH, health, {"status": "ok"})
    _expect(server, PROFILE, profile, {"id": person.user_id, "role": "user"})
    _expect(server, LOCATION, location, {"user_id": person.user_id, **json.loads(PLACE)})
    _expect(server, BATCH_OF_LOCATIONS, {**batch, "saved": saved}, {"accepted": BATCH, "saved": BATCH + 1})


def _rows_of(bench: Bench, user_id: int) -> int:
    with data.connect(bench.address()) as connection:
        found = connection.execute("SELECT count(*) FROM user_locations WHERE user_id = %s", [user_id]).fetchone()
    return int(found[0]) if found else 0


def _expect(server: Server, route: Route, answer: dict[str, Any], expected: dict[str, Any]) -> None:
    if not expected.items() <= answer.items():
        message = f"{server.name}: {route.path} was answered {answer}, which is not {expected}"
        raise NotAnsweredError(message)
