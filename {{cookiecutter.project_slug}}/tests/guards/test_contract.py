"""The specification says of every route what it takes, all that it answers, and who may call it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.models import User
from app.data_files.models import DataFile
from app.fields import Input
from tests.accounts.factory import bearer, make_user
from tests.api_keys.factory import make_key
from tests.contract.operations import PROBLEM, Operation, operations
from tests.data_files.factory import make_run
from tests.routes import Route, routes

BODIES = {"json", "files", "form"}
NO_ROW = 10**17
# Who makes one of another user's objects and returns its id, by the name of the id in paths.
Make = Callable[[Session, User], int]
OBJECTS: dict[str, Make] = {
    "file_id": lambda session, user: make_row(session, user).id,
    "key_id": lambda session, user: make_key(session, user)[0].id,
    "run_id": lambda session, user: make_run(session, make_row(session, user)).id,
    "user_id": lambda _, user: user.id,
}


def make_row(session: Session, user: User) -> DataFile:
    """What is known of a file; nobody gets as far as its content."""
    file = DataFile(
        user_id=user.id, name="a.csv", media_type="text/csv", size=1, sha256="", storage_key=f"{uuid.uuid4()}"
    )
    session.add(file)
    session.commit()
    return file


def statuses(route: Route) -> set[int]:
    """The errors that a route can give, going by its decorators."""
    found = {422, 500, 503}  # 422: a query that is not declared is refused everywhere
    if BODIES & route.schemas.keys():
        found |= {400, 413, 415}
    if not route.is_public:
        found |= {401, 403}
    if route.rule.arguments:
        found |= {404}
    if getattr(route.view, "rate_limit", None):
        found |= {429}
    return found


@pytest.fixture(scope="module")
def described(app: Flask) -> list[Operation]:
    return list(operations(app))


@pytest.mark.req("A7")
def test_every_status_that_a_route_can_give_is_documented(described: list[Operation]) -> None:
    missing = {str(one): lack for one in described if (lack := statuses(one.route) - one.answers.keys())}

    assert not missing


@pytest.mark.req("A7", "S11")
def test_every_error_is_documented_as_a_problem_with_an_example(described: list[Operation]) -> None:
    for one in described:
        for status, answer in one.answers.items():
            if status < 400:
                continue
            media = answer["content"][PROBLEM]
            assert answer["content"].keys() == {PROBLEM}, one
            assert one.faults(media["schema"], media["example"]) == [], one
            assert media["example"]["status"] == status, one


@pytest.mark.req("A7")
def test_every_answer_with_a_body_has_an_example_that_fits(described: list[Operation]) -> None:
    for one in described:
        for media in (m for answer in one.answers.values() for m in answer.get("content", {}).values()):
            assert one.faults(media["schema"], media["example"]) == [], one


@pytest.mark.req("A6", "A7")
def test_every_body_has_an_example_that_the_service_takes(described: list[Operation]) -> None:
    for one in described:
        for media_type, media in one.bodies.items():
            assert one.faults(media["schema"], media["example"]) == [], one
            if media_type == "application/json":
                assert one.route.schemas["json"].validate(media["example"]) == {}, one


@pytest.mark.req("A6", "A7")
def test_examples_of_parameters_are_taken(described: list[Operation]) -> None:
    for one in described:
        for place, schema in one.route.schemas.items():
            given = {
                parameter["name"]: parameter["schema"]["example"]
                for parameter in one.said.get("parameters", [])
                if parameter["in"] == place and "example" in parameter["schema"]
            }
            assert not given or schema.validate(given) == {}, one


@pytest.mark.req("A6", "A7")
def test_every_body_is_closed(described: list[Operation]) -> None:
    for one in described:
        for media in one.bodies.values():
            assert one.resolved(media["schema"])["additionalProperties"] is False, f"{one}: subclass app.fields.Input"


@pytest.mark.req("A6")
def test_every_schema_of_a_body_is_an_input(app: Flask) -> None:
    other = [
        str(route)
        for route in routes(app)
        for place in BODIES & route.schemas.keys()
        if not isinstance(route.schemas[place], Input)
    ]

    assert not other, "subclass app.fields.Input"


@pytest.mark.req("A7")
def test_every_answer_documents_its_headers(described: list[Operation]) -> None:
    wanted = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    for one in described:
        for status, answer in one.answers.items():
            assert {"X-Request-ID", "RateLimit-Remaining"} <= answer["headers"].keys(), one
            assert wanted.get(status, "X-Request-ID") in answer["headers"], one


@pytest.mark.req("A2", "A7")
def test_who_may_call_is_documented(described: list[Operation]) -> None:
    for one in described:
        key = [{"apiKey": [one.route.scope]}] if one.route.scope else []
        person = [{"bearer": ["admin"] if one.route.access == "admin" else []}]
        assert one.said["security"] == ([] if one.route.is_public else person + key), one


@pytest.mark.req("A2", "A6")
def test_an_object_of_somebody_else_is_answered_like_one_that_is_not_there(
    app: Flask, session: Session, described: list[Operation]
) -> None:
    client, caller, owner = app.test_client(), make_user(session), make_user(session)

    def call(one: Operation, identifier: int) -> TestResponse:
        body: Mapping[str, Any] = one.bodies.get("application/json", {})
        headers = bearer(app, caller)
        return client.open(
            one.route.path(identifier), method=one.route.method, json=body.get("example"), headers=headers
        )

    for one in described:
        for name in one.route.rule.arguments:
            assert name in OBJECTS, f"say in OBJECTS how a {name} comes to be"
            there, missing = call(one, OBJECTS[name](session, owner)), call(one, NO_ROW)

            # Who is no admin learns nothing at all on the routes of admins.
            assert there.status_code == missing.status_code == (403 if one.route.access == "admin" else 404), one
            assert told(there) == told(missing), one


def told(answer: TestResponse) -> dict[str, Any]:
    """What an answer says beside the address and the request's id."""
    return {name: value for name, value in answer.get_json().items() if name not in ("instance", "request_id")}
