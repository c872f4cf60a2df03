"""The route guards report violations in an app, with a message that names the fix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask, request
from marshmallow import EXCLUDE, Schema, fields
from prometheus_client import REGISTRY, Counter

from app import create_app
from app.platform.api.blueprints import Blueprint, register_blueprint
from app.platform.api.fields import PlainText, RequestSchema
from app.platform.api.pagination import PageQuery
from app.platform.api.rate_limits import no_rate_limit, rate_limit
from app.platform.decimals import DecimalInteger
from app.platform.security.access import login_or_api_key, login_required, public, recent_login_required
from app.platform.telemetry.objectives import READ, no_objective, objective
from tests.guards import route_rules


class Item(Schema):
    """An item of a list."""

    id = fields.Integer()


class ItemPage(Schema):
    """A page of items."""

    items = fields.List(fields.Nested(Item()))
    next = fields.String()


class UnboundedQuery(PageQuery):
    """A page query without a maximum."""

    limit = DecimalInteger(load_default=50)


class UnboundedDefaultQuery(PageQuery):
    """A page query whose default exceeds the maximum."""

    limit = DecimalInteger(load_default=10_000)


class PlainSchema(Schema):
    """A body that is no request schema."""


class LenientSchema(RequestSchema):
    """A body whose unknown members are ignored."""

    class Meta:
        unknown = EXCLUDE


class UnboundedList(RequestSchema):
    """A body with a list of any length."""

    items = fields.List(fields.Integer())


class UnboundedText(RequestSchema):
    """A body with a text of any length."""

    text = PlainText()


def compliant(view: Callable[..., Any]) -> Callable[..., Any]:
    """Declare everything that the guards require."""
    return login_required(objective(READ)(rate_limit("RATELIMIT_READ")(view)))


def add_route(
    app: Flask, decorate: Callable[[Blueprint, Any], Any], rule: str = "/orders", method: str = "GET"
) -> None:
    """Register a route whose view has the decorators that `decorate` applies."""
    blueprint = Blueprint("orders", __name__, description="Violations.")

    def view(*_: Any, **__: Any) -> str:
        return "ok"

    blueprint.route(rule, methods=[method])(decorate(blueprint, view))
    register_blueprint(app, blueprint, ("v1",))


@pytest.fixture
def new_app(app: Flask, environment: Mapping[str, str]) -> Flask:
    """A new app, so a test can add routes."""
    return create_app(environment)


VIOLATIONS: dict[str, tuple[Callable[[Flask], list[str]], Callable[[Blueprint, Any], Any], str]] = {
    "unbounded list": (
        route_rules.bound_problems,
        lambda blueprint, view: blueprint.arguments(UnboundedList())(compliant(view)),
        "give every text in UnboundedList a maximum length",
    ),
    "unbounded text": (
        route_rules.bound_problems,
        lambda blueprint, view: blueprint.arguments(UnboundedText())(compliant(view)),
        "give every text in UnboundedText a maximum length",
    ),
    "no access": (
        route_rules.access_problems,
        lambda _, view: objective(READ)(rate_limit("RATELIMIT_READ")(view)),
        "put @login_required",
    ),
    "recent login with an API key": (
        route_rules.step_up_problems,
        lambda _, view: recent_login_required(login_or_api_key("profile:read")(compliant(view))),
        "put @login_required or @admin_required",
    ),
    "public without reason": (
        route_rules.public_problems,
        lambda _, view: public("")(compliant(view)),
        "give @public a reason",
    ),
    "public and not listed": (
        route_rules.public_problems,
        lambda _, view: public("a reason")(compliant(view)),
        'add "orders" to PUBLIC_ROUTES in tests/<feature>/samples.py',
    ),
    "no rate limit": (
        route_rules.rate_limit_problems,
        lambda _, view: login_required(objective(READ)(view)),
        "put @rate_limit('RATELIMIT_…') or @no_rate_limit('<reason>')",
    ),
    "public with a body and without a target": (
        route_rules.target_problems,
        lambda blueprint, view: blueprint.arguments(LenientSchema())(public("a reason")(compliant(view))),
        "put @target_limit('RATELIMIT_…', '<field>') or @no_target_limit('<reason>')",
    ),
    "no objective": (
        route_rules.objective_problems,
        lambda _, view: login_required(no_rate_limit("a test")(view)),
        "put @objective(…) or @no_objective('<reason>')",
    ),
    "no objective and not listed": (
        route_rules.objective_problems,
        lambda _, view: no_objective("a test")(login_required(view)),
        "add '/api/v1/orders' to WITHOUT_OBJECTIVE",
    ),
    "schema is a class": (
        route_rules.schema_problems,
        lambda blueprint, view: blueprint.arguments(LenientSchema)(compliant(view)),
        "write LenientSchema() instead of LenientSchema",
    ),
    "schema of a body is no request schema": (
        route_rules.schema_problems,
        lambda blueprint, view: blueprint.arguments(PlainSchema())(compliant(view)),
        "let PlainSchema subclass app.platform.api.fields.RequestSchema",
    ),
    "schema ignores unknown members": (
        route_rules.schema_problems,
        lambda blueprint, view: blueprint.arguments(LenientSchema())(compliant(view)),
        "write `unknown = RAISE` in the Meta class of LenientSchema",
    ),
    "page without a page query": (
        route_rules.list_problems,
        lambda blueprint, view: blueprint.response(200, ItemPage())(compliant(view)),
        "put @blueprint.arguments(PageQuery(), location='query')",
    ),
    "bare list": (
        route_rules.list_problems,
        lambda blueprint, view: blueprint.response(200, Item(many=True))(compliant(view)),
        "return a page",
    ),
    "limit without a maximum": (
        route_rules.list_problems,
        lambda blueprint, view: blueprint.arguments(UnboundedQuery(), location="query")(compliant(view)),
        "keep `limit` of PageQuery",
    ),
    "limit with an unbounded default": (
        route_rules.list_problems,
        lambda blueprint, view: blueprint.arguments(UnboundedDefaultQuery(), location="query")(compliant(view)),
        "keep `limit` of PageQuery",
    ),
}


@pytest.mark.fault("F47")
@pytest.mark.parametrize(("problems", "decorate", "message"), VIOLATIONS.values(), ids=VIOLATIONS)
@pytest.mark.req("A2", "A6", "A8", "O3")
def test_guard_reports_the_violation(
    new_app: Flask,
    problems: Callable[[Flask], list[str]],
    decorate: Callable[[Blueprint, Any], Any],
    message: str,
) -> None:
    add_route(new_app, decorate)

    (problem,) = [problem for problem in problems(new_app) if message in problem]

    assert problem.startswith("GET /api/v1/orders: ")


@pytest.mark.req("A6")
def test_guard_reports_a_body_without_schema(new_app: Flask) -> None:
    add_route(new_app, lambda _, view: compliant(view), method="POST")

    assert route_rules.body_problems(new_app) == [
        "POST /api/v1/orders: put @blueprint.arguments(<Schema>()) on the view"
    ]


@pytest.mark.req("S10")
def test_guard_reports_a_header_that_is_not_allowed_for_other_origins(new_app: Flask) -> None:
    class OrderHeaders(Schema):
        key = fields.String(data_key="X-Order-Key")

    def decorate(blueprint: Blueprint, view: Any) -> Any:
        return blueprint.arguments(OrderHeaders(), location="headers")(compliant(view))

    add_route(new_app, decorate)

    assert route_rules.header_problems(new_app) == [
        "GET /api/v1/orders: add X-Order-Key to request_headers of the Feature"
    ]


@pytest.mark.parametrize("variable", ["<thing_id>", "<path:thing_id>"])
@pytest.mark.req("A6")
def test_guard_reports_a_path_variable_without_converter(new_app: Flask, variable: str) -> None:
    add_route(new_app, lambda _, view: compliant(view), f"/orders/{variable}")

    assert route_rules.path_problems(new_app) == [
        f"GET /api/v1/orders/{variable}: write <int:thing_id> instead of <thing_id>"
    ]


@pytest.mark.fault("F38")
@pytest.mark.req("S10")
def test_guard_reports_redirects_of_the_router(new_app: Flask) -> None:
    add_route(new_app, lambda _, view: compliant(view), "/orders/")
    new_app.url_map.merge_slashes = True

    assert route_rules.redirect_problems(new_app) == [
        "GET /api/v1/orders/: remove the slash at the end of the path",
        "app.url_map.merge_slashes is on: turn it off",
    ]


def test_guard_reports_an_async_view(new_app: Flask) -> None:
    @new_app.get("/orders")
    async def view() -> str:
        return "ok"

    assert route_rules.async_problems(new_app) == [
        "GET /orders: write `def` instead of `async def`; this service runs in threads"
    ]


@pytest.mark.req("O1")
def test_guard_reports_an_id_in_a_metric_label(new_app: Flask) -> None:
    counter = Counter("order_requests", "Requests by path", ["path"])

    def view(thing_id: int) -> str:
        counter.labels(request.path).inc()
        return "ok"

    new_app.get("/orders/<int:thing_id>")(public("a test")(no_rate_limit("a test")(view)))
    try:
        problems = route_rules.label_problems(new_app)
    finally:
        REGISTRY.unregister(counter)

    assert len(problems) == 1
    assert problems[0].startswith(
        f"order_requests: the label 'path' contains an id of a request ('/orders/{route_rules.ID}')"
    )


@pytest.mark.req("A9")
def test_guard_reports_a_creating_route_without_idempotency_keys(new_app: Flask) -> None:
    add_route(new_app, lambda blueprint, view: blueprint.response(201, Item())(compliant(view)), method="POST")

    (problem,) = route_rules.idempotency_problems(new_app)
    assert problem.startswith("POST /api/v1/orders: a request that is repeated")
