"""Somebody else's object is not there: by its id, every route answers as for an id that nobody has."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.models import User
from app.database import now
from app.security.access import SCOPES
from tests.accounts.factory import bearer
from tests.api_keys.factory import make_key
from tests.attacks.conftest import Attacker

NOBODYS = 10**17


def post(attacker: Attacker, user: User, path: str, **options: Any) -> int:
    """Make something of a user's, and give its id."""
    made = attacker.app.test_client().post(f"/api/v1{path}", headers=bearer(attacker.app, user), **options)
    number: int = made.get_json()["id"]
    return number


def file_of(attacker: Attacker, user: User) -> int:
    return post(attacker, user, "/data-files", data={"file": (BytesIO(b"a\n1\n"), "a.csv")})


# How to make what a part of a path names; a new one is to be added here.
MAKERS: dict[str, Callable[[Attacker, User], int]] = {
    "key_id": lambda attacker, user: post(attacker, user, "/api-keys", json={"name": "a", "scopes": ["files:read"]}),
    "file_id": file_of,
    "run_id": lambda attacker, user: post(attacker, user, f"/data-files/{file_of(attacker, user)}/tests"),
}


def key_of(session: Session, user: User) -> dict[str, str]:
    """A key for everything, the use of which writes nothing."""
    return {"X-API-Key": make_key(session, user, *SCOPES, last_used_at=now())[1]}


def shown(answer: TestResponse) -> tuple[int, dict[str, Any]]:
    """The answer without what differs from one request to the next."""
    return answer.status_code, {**answer.get_json(), "instance": None, "request_id": None}


@pytest.mark.parametrize("how", ["token", "key"])
@pytest.mark.req("A2")
def test_no_route_shows_or_changes_what_is_somebody_elses(
    attacker: Attacker, session: Session, user: User, how: str
) -> None:
    tried = 0
    for route in attacker.routes():
        if "<" not in route.rule.rule or "/admin/" in route.rule.rule or (how == "key" and not route.scope):
            continue
        (name,) = route.rule.arguments
        theirs = MAKERS[name](attacker, user)
        proof = attacker.proof(route) if how == "token" else key_of(session, attacker.somebody())
        body = {"json": attacker.sample(route)} if "json" in route.schemas else {}
        before = attacker.rows()

        answers = [shown(attacker.open(route, part, proof=proof, **body)) for part in (theirs, NOBODYS)]
        tried += 1

        assert answers[0] == answers[1], route
        assert answers[0][0] == 404, route
        assert attacker.rows() == before, route

    assert tried >= 5
