"""Routes treat the objects of other users as missing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.models import User
from tests.attacks.conftest import Attacker
from tests.routes import Route
from tests.samples import create_object, credentials

MISSING_ID = 10**17


def routes_of_objects(attacker: Attacker) -> list[Route]:
    """Return the routes with an id in the path; admins may use the objects of every user."""
    return [route for route in attacker.routes() if route.rule.arguments and route.access != "admin"]


def content(response: TestResponse) -> tuple[int, dict[str, Any]]:
    """Return a response without the members that differ between requests."""
    return response.status_code, {**response.get_json(), "instance": None, "request_id": None}


def assert_looks_missing(
    attacker: Attacker, session: Session, owner: User, route: Route, headers: dict[str, str]
) -> None:
    (parameter,) = route.rule.arguments
    existing = create_object(attacker.app, session, owner, parameter)
    body = {"json": attacker.example_body(route)} if "json" in route.schemas else {}
    before = attacker.rows()

    for_existing, for_missing = (
        content(attacker.open(route, value, credentials=headers, **body)) for value in (existing, MISSING_ID)
    )

    assert for_existing == for_missing, route
    assert for_existing[0] == 404, route
    assert attacker.rows() == before, route


@pytest.mark.req("A2")
def test_objects_of_other_users_look_missing(attacker: Attacker, session: Session, user: User) -> None:
    for route in routes_of_objects(attacker):
        assert_looks_missing(attacker, session, user, route, attacker.credentials(route))


@pytest.mark.req("A2")
def test_objects_of_other_users_look_missing_with_other_credentials(
    attacker: Attacker, session: Session, user: User
) -> None:
    for create_headers in credentials().values():
        for route in routes_of_objects(attacker):
            if route.scope:
                headers = create_headers(attacker.app, session, attacker.new_admin())
                assert_looks_missing(attacker, session, user, route, headers)
