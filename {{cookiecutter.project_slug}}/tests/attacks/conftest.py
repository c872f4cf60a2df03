"""Fixtures of an attacker: an admin who may call every route."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.accounts.models import User
from app.platform.api.openapi import describe
from app.platform.api.openapi.examples import example
from app.platform.database.base import db
from tests.accounts.factory import bearer, make_user
from tests.routes import Route, routes


@dataclass(frozen=True)
class Attacker:
    """Calls every route as a new admin, so one call does not affect the next."""

    app: Flask
    session: Session
    specification: dict[str, Any]

    def routes(self, location: str = "") -> list[Route]:
        """Return the routes of version 1 and those without a version; other versions are copies.

        `location` selects those with input there: json, query, files. A test over no route would not fail, so there
        must be one, except with files: a service may delete the feature that accepts them.
        """
        found = [
            route
            for route in routes(self.app)
            if not route.rule.rule.startswith("/api/v2/") and (not location or location in route.schemas)
        ]
        assert found or location == "files", f"no route has input in {location}"
        return found

    def credentials(self, route: Route) -> dict[str, str]:
        """Return headers that give access to a route."""
        return {} if route.is_public else bearer(self.app, self.new_admin())

    def new_admin(self) -> User:
        """Create an admin."""
        return make_user(self.session, role="admin")

    def open(
        self, route: Route, value: object = 1, *, credentials: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        """Call a route with `value` for the variables of its path."""
        headers = {**(self.credentials(route) if credentials is None else credentials), **options.pop("headers", {})}
        client = self.app.test_client()
        return client.open(route.path(value), method=route.method, headers=headers, buffered=True, **options)

    def upload(self, route: Route, name: str = "a.csv", content: bytes = b"a\n1\n", **options: Any) -> TestResponse:
        """Send a file to a route, with further form fields."""
        form = {"file": (BytesIO(content), name), **options.pop("fields", {})}
        return self.open(route, data=form, content_type="multipart/form-data", **options)

    def example_body(self, route: Route) -> Any:
        """Return a valid body: the example in the specification."""
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule.rule)
        operation = self.specification["paths"][path][route.method.lower()]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return example(schema, self.specification["components"]["schemas"])

    def rows(self) -> dict[str, list[Any]]:
        """Return every row of every table."""
        with self.app.app_context(), db.engine.connect() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=str)
                for table in db.metadata.sorted_tables
            }


@pytest.fixture(scope="session")
def app_without_limits(app: Flask, environment: Mapping[str, str]) -> Flask:
    """The app without rate limits, so the tests can send many requests."""
    return create_app({**environment, "RATELIMIT_ENABLED": "false"})


@pytest.fixture
def attacker(app: Flask, app_without_limits: Flask, session: Session) -> Attacker:
    make_user(session, role="admin")  # so no later admin is the last one
    return Attacker(app_without_limits, session, describe(app_without_limits, "v1"))


def bodies_with(body: Any, value: object) -> Iterator[Any]:
    """Yield copies of a JSON body, each with the value in another place."""
    for path in _leaves(body):
        copy = {"body": deepcopy(body)}
        *parents, last = ("body", *path)
        parent: Any = copy
        for key in parents:
            parent = parent[key]
        parent[last] = value
        yield copy["body"]


def _leaves(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    match body:
        case dict():
            for name, inner in body.items():
                yield from _leaves(inner, (*path, name))
        case list():
            for index, inner in enumerate(body):
                yield from _leaves(inner, (*path, index))
        case _:
            yield path
