"""Somebody who gets in everywhere, and means harm."""

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
from app.database import db
from app.openapi import describe
from app.openapi.examples import example
from tests.accounts.factory import bearer, make_user
from tests.routes import Route, routes


@dataclass(frozen=True)
class Attacker:
    """Calls routes, each time as a new admin, so that no call is in the way of the next."""

    app: Flask
    session: Session
    specification: dict[str, Any]

    def routes(self, place: str = "") -> list[Route]:
        """The routes of version 1 and those of no version, of which the other versions are copies.

        `place` picks those that take input there: json, query, form, files.
        """
        return [
            route
            for route in routes(self.app)
            if not route.rule.rule.startswith("/api/v2/") and (not place or place in route.schemas)
        ]

    def proof(self, route: Route) -> dict[str, str]:
        """What opens a route."""
        return {} if route.is_public else bearer(self.app, self.somebody())

    def somebody(self) -> User:
        """A new admin."""
        return make_user(self.session, role="admin")

    def open(
        self, route: Route, part: object = 1, *, proof: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        """Call a route; `part` stands in the free parts of its address."""
        headers = {**(self.proof(route) if proof is None else proof), **options.pop("headers", {})}
        client = self.app.test_client()
        return client.open(route.path(part), method=route.method, headers=headers, buffered=True, **options)

    def upload(self, route: Route, name: str = "a.csv", content: bytes = b"a\n1\n", **options: Any) -> TestResponse:
        """Send a file to a route, with the other fields of the form that are given."""
        form = {"file": (BytesIO(content), name), **options.pop("fields", {})}
        return self.open(route, data=form, content_type="multipart/form-data", **options)

    def sample(self, route: Route) -> Any:
        """A body that the route takes: the example of its specification."""
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule.rule)
        operation = self.specification["paths"][path][route.method.lower()]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return example(schema, self.specification["components"]["schemas"])

    def rows(self) -> dict[str, list[Any]]:
        """Everything in the database."""
        with self.app.app_context(), db.engine.connect() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=str)
                for table in db.metadata.sorted_tables
            }


@pytest.fixture(scope="session")
def attacked(app: Flask, environment: Mapping[str, str]) -> Flask:
    """The app without rate limits, which would end an attack before it has been tried everywhere."""
    made = create_app({**environment, "RATELIMIT_ENABLED": "false"})
    app.extensions["celery"].set_current()  # or else all tasks of later tests would go to this one's
    return made


@pytest.fixture
def attacker(app: Flask, attacked: Flask, session: Session) -> Attacker:
    make_user(session, role="admin")  # so that none of those made later is the last one
    return Attacker(attacked, session, describe(attacked, "v1"))


def planted(body: Any, value: object) -> Iterator[Any]:
    """Copies of a JSON body, each with the value in another place of it."""
    for path in _leaves(body):
        copy = {"body": deepcopy(body)}
        *way, last = ("body", *path)
        place: Any = copy
        for step in way:
            place = place[step]
        place[last] = value
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
