"""No route of the service sends more queries if there are more rows (n + 1 queries)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.platform.redis.client import redis_of
from tests.route_calls import RouteCaller
from tests.routes import routes
from tests.scrapes import values_by_labels


@pytest.fixture
def profiled_app(app: Flask, environment: Mapping[str, str], tmp_path: Path) -> Flask:
    """The service with query profiling on; the fixture `app` empties its tables afterwards."""
    settings = {"ENABLE_DB_PROFILING": "true", "RATELIMIT_ENABLED": "false", "STORAGE_URL": tmp_path.as_uri()}
    return create_app({**environment, **settings, "MAX_UNFINISHED_TESTS_PER_USER": "1000"})


def total_queries(app: Flask) -> dict[str, float]:
    """The number of queries of each route since the process started."""
    totals = values_by_labels(app.test_client(), "db_queries_per_request_sum")
    return {f"{dict(labels)['method']} {dict(labels)['endpoint']}": total for labels, total in totals.items()}


def queries_per_route(caller: RouteCaller) -> dict[str, float]:
    """Call every route, and return the number of queries of each."""
    before = total_queries(caller.app)
    caller.call_all()
    after = total_queries(caller.app)
    return {route: after.get(route, 0) - before.get(route, 0) for route in caller.called}


@pytest.mark.req("O6")
def test_number_of_queries_does_not_grow_with_the_rows(
    profiled_app: Flask, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    few = queries_per_route(RouteCaller(profiled_app, session, 2))
    if redis := redis_of(profiled_app):
        redis.flushdb()  # cached values of the first calls would hide queries of the second
    caller = RouteCaller(profiled_app, session, 12)
    many = queries_per_route(caller)

    assert {route: many[route] for route in many if many[route] > few[route]} == {}
    assert [vars(record) for record in caplog.records if record.message == "repeated query"] == []
    expected = {str(route) for route in routes(profiled_app) if not route.rule.rule.startswith("/api/v2/")}
    assert caller.called == expected, "call every route in tests/<feature>/route_calls.py"
    assert sum(many.values()) > len(many)
