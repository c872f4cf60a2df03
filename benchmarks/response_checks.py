"""Correctness of the servers' responses, checked before anything is measured."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from benchmarks import dataset
from benchmarks.load_generator import RequestFailedError
from benchmarks.routes import (
    BATCH_SIZE,
    HEALTH_CHECK,
    LOCATION_BATCH,
    LOCATION_BODY,
    LOCATION_WRITE,
    PROFILE_READ,
    Route,
)
from benchmarks.run import BenchmarkRun
from benchmarks.servers import Server


def check_responses(run: BenchmarkRun, server: Server) -> None:
    """Send one request per route and check the responses and the rows in the database.

    Raises RequestFailedError if a response or the number of rows is wrong.
    """
    user, token = run.users[1], server.tokens[1]
    unauthorized = dataclasses.replace(PROFILE_READ, status=401, expected_text="")
    server.request(unauthorized, f"{token[:-4]}AAAA")
    rows_before = _count_rows(run, user.user_id)
    routes = (HEALTH_CHECK, PROFILE_READ, LOCATION_WRITE, LOCATION_BATCH)
    health, profile, location, batch = [json.loads(server.request(route, token)) for route in routes]
    saved = _count_rows(run, user.user_id) - rows_before
    _expect(server, HEALTH_CHECK, health, {"status": "ok"})
    _expect(server, PROFILE_READ, profile, {"id": user.user_id, "role": "user"})
    _expect(server, LOCATION_WRITE, location, {"user_id": user.user_id, **json.loads(LOCATION_BODY)})
    _expect(server, LOCATION_BATCH, {**batch, "saved": saved}, {"accepted": BATCH_SIZE, "saved": BATCH_SIZE + 1})


def _count_rows(run: BenchmarkRun, user_id: int) -> int:
    with dataset.connect(run.database_url()) as connection:
        row = connection.execute("SELECT count(*) FROM user_locations WHERE user_id = %s", [user_id]).fetchone()
    return int(row[0]) if row else 0


def _expect(server: Server, route: Route, response: dict[str, Any], expected: dict[str, Any]) -> None:
    if not expected.items() <= response.items():
        message = f"{server.name}: {route.path} returned {response}; expected {expected}"
        raise RequestFailedError(message)
