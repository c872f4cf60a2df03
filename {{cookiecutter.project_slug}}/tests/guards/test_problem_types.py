"""Every error has a declared type, which its route documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts.problem_types import EMAIL_TAKEN
from app.platform.security.access import public
from app.platform.web.problem_types import ProblemType
from app.platform.web.problems import Problem
from tests import problem_types
from tests.accounts.factory import bearer, make_user
from tests.environments import ROOT
from tests.guards import problem_type_rules as rules
from tests.routes import all_routes

pytestmark = pytest.mark.req("A9")

UNDECLARED = ProblemType("undeclared", 409, "It happened.", "Do something.")


def test_every_type_is_registered(app: Flask) -> None:
    assert rules.registration_problems(app) == []


def test_every_name_and_text_is_well_formed(app: Flask) -> None:
    assert rules.name_problems(app) == []


def test_every_problem_has_a_type(app: Flask) -> None:
    assert rules.raise_problems(ROOT) == []


@pytest.mark.parametrize(
    ("statement", "finds"),
    [
        ("raise Problem(409, 'text')", True),
        ("raise Problem(ProblemType('a', 409, 'b.', 'c.'), 'text')", True),
        ("raise Problem(404, 'text')", False),
        ("raise Problem(EMAIL_TAKEN, 'text')", False),
        ("raise Problem(accounts.LAST_ADMIN, 'text')", False),
    ],
)
def test_guard_finds_problems_without_a_type(tmp_path: Path, statement: str, finds: bool) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "views.py").write_text(statement)

    assert bool(rules.raise_problems(tmp_path)) == finds


def test_guard_finds_unregistered_types(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.accounts import views

    monkeypatch.setattr(views, "UNDECLARED", UNDECLARED, raising=False)

    (problem,) = rules.registration_problems(app)
    assert problem.startswith("app.accounts.views.UNDECLARED is not registered")


@pytest.mark.parametrize("kind", [UNDECLARED, EMAIL_TAKEN], ids=["unregistered", "of another route"])
def test_undeclared_type_of_a_route_is_found(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, kind: ProblemType
) -> None:
    @public("a test")
    def view() -> None:
        raise Problem(kind, "It happened.")

    monkeypatch.setitem(app.view_functions, "v1_users.me", view)

    client.get("/api/v1/users/me")

    (problem,) = problem_types.take_undeclared()
    assert problem.startswith(f"GET /api/v1/users/me answered 409 with the type {kind.uri}")


def test_every_route_answers_errors_with_declared_types(app: Flask, client: FlaskClient, session: Session) -> None:
    statuses = set()
    for route in all_routes(app):
        for headers in ({}, bearer(app, make_user(session))):
            for options in ({}, {"data": b"{", "content_type": "application/json"}, {"query_string": "unknown=1"}):
                response = client.open(route.path(), method=route.method, headers=headers, buffered=True, **options)
                statuses.add(response.status_code)

    assert {400, 401, 403, 404, 422, 429} <= statuses
    assert problem_types.take_undeclared() == []
