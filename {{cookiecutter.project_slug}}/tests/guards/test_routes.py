"""Rules that every route keeps, also those that are added next year."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import RAISE, Schema
from werkzeug.routing import Rule

from app.versions import VERSIONS

WRITING = {"POST", "PUT", "PATCH"}
PUBLIC = {
    "openapi.json",
    "auth/register",
    "auth/login",
    "auth/refresh",
    "auth/forgot-password",
    "auth/reset-password",
}


def routes(app: Flask) -> Iterator[tuple[Rule, Any]]:
    for rule in app.url_map.iter_rules():
        yield rule, app.view_functions[rule.endpoint]


def schemas(view: Any) -> dict[str, Schema]:
    """The schemas that a view's decorators declare, by where the input comes from."""
    declared = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
    return {parameter["in"]: parameter["schema"] for parameter in declared}


def of_the_api(app: Flask) -> Iterator[tuple[Rule, Any]]:
    for rule, view in routes(app):
        if rule.rule.startswith("/api/") and not rule.rule.endswith("/openapi.json"):
            yield rule, view


@pytest.mark.req("A2")
def test_every_route_says_who_may_call_it(app: Flask) -> None:
    silent = [rule.rule for rule, view in routes(app) if not hasattr(view, "access")]

    assert not silent, "put @signed_in, @operators_only or @public('why') of app.security.access on the view"


@pytest.mark.req("A2")
def test_every_public_route_says_why(app: Flask) -> None:
    public = {rule.rule: view.access_reason for rule, view in routes(app) if view.access.__name__ == "_anybody"}

    assert all(public.values())
    assert set(public) == {"/health", "/ready", "/docs", "/docs/<name>"} | {
        f"/api/{version}/{path}" for version in VERSIONS for path in PUBLIC
    }, "a new public route is a decision: name it here"


@pytest.mark.req("A8")
def test_every_route_has_a_rate_limit_or_says_why_not(app: Flask) -> None:
    limits = app.extensions["rate_limits"]
    without = [
        rule.rule
        for rule, view in routes(app)
        if getattr(view, "rate_limit", "not said") not in limits and not getattr(view, "unlimited_reason", "")
    ]

    assert not without, "put @limit('RATELIMIT_…') or @unlimited('why') of app.limits on the view"


@pytest.mark.req("A6")
def test_every_route_that_takes_a_body_has_a_schema_for_it(app: Flask) -> None:
    without = [
        rule.rule
        for rule, view in of_the_api(app)
        if rule.methods and rule.methods & WRITING and not schemas(view).keys() & {"json", "files", "form"}
    ]

    assert not without, "put @blueprint.arguments(Schema()) on the view"


@pytest.mark.req("A6")
def test_every_schema_refuses_what_it_does_not_name(app: Flask) -> None:
    lenient = [
        rule.rule
        for rule, view in of_the_api(app)
        for place, schema in schemas(view).items()
        if place != "headers" and schema.unknown != RAISE  # a request carries headers that no route knows of
    ]

    assert not lenient


@pytest.mark.req("A6")
def test_every_schema_is_an_instance(app: Flask) -> None:
    classes = [
        rule.rule for rule, view in of_the_api(app) for schema in schemas(view).values() if isinstance(schema, type)
    ]

    assert not classes, "write Schema() and not Schema: a class is made anew for every request"


@pytest.mark.req("A6")
def test_every_part_of_a_path_is_converted(app: Flask) -> None:
    files = {"/docs/<name>"}  # a file's name, which Flask looks up safely
    free = [
        rule.rule
        for rule, _ in routes(app)
        for name, converter in rule._converters.items()
        if type(converter).__name__ == "UnicodeConverter" and rule.rule not in files and name
    ]

    assert not free, "write <int:id> and not <id>"


@pytest.mark.req("A6")
def test_every_list_is_bounded(app: Flask) -> None:
    for rule, view in of_the_api(app):
        if query := schemas(view).get("query"):
            assert query.load({})["limit"] <= 200, rule.rule


@pytest.mark.req("O1")
def test_no_route_has_an_id_as_label(app: Flask) -> None:
    for rule, _ in routes(app):
        assert not any(character.isdigit() for character in re.sub(r"^/api/v\d+/", "", rule.rule))
