"""Rules for every route. Each function returns the problems of an app; a problem names the route and the fix."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator

from flask import Flask
from marshmallow import RAISE, Schema
from prometheus_client import REGISTRY
from werkzeug.routing import IntegerConverter, UUIDConverter

from app.platform.api.fields import RequestSchema
from app.platform.api.pagination import MAX_LIMIT, PageQuery
from app.platform.api.value_limits import max_commas
from app.platform.api.versions import VERSIONS
from app.platform.components import platform_of
from app.platform.settings.declarations import rate_limit_settings
from tests.routes import Route, all_routes, routes
from tests.samples import public_routes

METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}
BODY_LOCATIONS = {"json", "files", "form"}
ID = 918273645546372819  # occurs nowhere by chance

PROBLEM_PAGES = {"/problems", "/problems/<name>"}
PUBLIC = {
    "/health",
    "/ready",
    "/docs",
    "/docs/<name>",
    *PROBLEM_PAGES,
    *(f"/api/{version}/openapi.json" for version in VERSIONS),
}
WITHOUT_OBJECTIVE = {
    "/docs",
    "/docs/<name>",
    *PROBLEM_PAGES,
    "/metrics",
    "/prometheus/metrics-http",
    *(f"/api/{version}/openapi.json" for version in VERSIONS),
}
LOGINS = {"login", "admin"}  # the access rules that reject API keys
NAMES = {"/docs/<name>", "/problems/<name>"}  # werkzeug's `safe_join` finds the file; a dictionary has the types


def access_problems(app: Flask) -> list[str]:
    """Return the routes without an access rule."""
    return [
        f"{route}: put @login_required, @login_or_api_key('<scope>'), @admin_required or @public('<reason>')"
        " of app.platform.security.access on the view"
        for route in all_routes(app)
        if not route.policy.access
    ]


def step_up_problems(app: Flask) -> list[str]:
    """Return the routes that need a recent login and that callers without a login may call."""
    return [
        f"{route}: API keys and anonymous callers cannot prove a password: put @login_required or @admin_required of"
        " app.platform.security.access below @recent_login_required"
        for route in all_routes(app)
        if route.policy.recent_login and route.access not in LOGINS
    ]


def public_problems(app: Flask) -> list[str]:
    """Return the public routes without a reason, and those that no list of public routes contains."""
    expected = PUBLIC | {f"/api/{version}/{path}" for version in VERSIONS for path in public_routes()}
    found = [route for route in all_routes(app) if route.is_public]
    return [f"{route}: give @public a reason" for route in found if not route.policy.public_reason] + [
        f'{route}: a public route is a decision: add "{_below_version(route)}" to PUBLIC_ROUTES'
        " in tests/<feature>/samples.py"
        for route in found
        if route.rule.rule not in expected
    ]


def _below_version(route: Route) -> str:
    return route.rule.rule.removeprefix("/api/").partition("/")[2]


def rate_limit_problems(app: Flask) -> list[str]:
    """Return the routes without a rate limit or a reason; `create_app` rejects a limit that is no setting."""
    settings = rate_limit_settings(app)
    return [
        f"{route}: put @rate_limit('RATELIMIT_…') or @no_rate_limit('<reason>') of app.platform.api.rate_limits"
        f" on the view; settings: {', '.join(sorted(settings))}"
        for route in all_routes(app)
        if not route.policy.rate_limit and not route.policy.no_rate_limit_reason
    ]


def target_problems(app: Flask) -> list[str]:
    """Return the public routes with a body whose requests do not count for a target, and that give no reason."""
    return [
        f"{route}: many clients together can attack one account: put @target_limit('RATELIMIT_…', '<field>') or"
        " @no_target_limit('<reason>') of app.platform.api.rate_limits directly on the view"
        for route in routes(app)
        if route.is_public and route.schemas.keys() & BODY_LOCATIONS
        if not route.policy.target_limit and not route.policy.no_target_limit_reason
    ]


def idempotency_problems(app: Flask) -> list[str]:
    """Return the routes that create something and neither accept an idempotency key nor give a reason."""
    return [
        f"{route}: a request that is repeated after a lost answer creates a second item: put @idempotent or"
        " @no_idempotency_key('<reason>') of app.platform.api.idempotency directly above @blueprint.response"
        for route in routes(app)
        if route.method == "POST" and 201 in route.documented_statuses
        if not route.policy.accepts_idempotency_key and not route.policy.no_idempotency_key_reason
    ]


def etag_problems(app: Flask) -> list[str]:
    """Return the routes that read one object and have no ETag."""
    return [
        f"{route}: put @etagged of app.platform.api.conditional directly above @blueprint.response"
        for route in routes(app)
        if route.method == "GET" and route.rule.arguments and not route.policy.has_etag
    ]


def redirect_problems(app: Flask) -> list[str]:
    """Return the routes that the router redirects to; such a redirect names the host that the client sent."""
    return [
        f"{route}: remove the slash at the end of the path"
        for route in all_routes(app)
        if route.rule.rule.endswith("/")
    ] + ["app.url_map.merge_slashes is on: turn it off"] * app.url_map.merge_slashes


def objective_problems(app: Flask) -> list[str]:
    """Return the routes without an objective or a reason, and those without an objective that are not listed."""
    without = [route for route in all_routes(app) if not route.policy.objective]
    return [
        f"{route}: put @objective(…) or @no_objective('<reason>') of app.platform.telemetry.objectives on the view"
        for route in without
        if not route.policy.no_objective_reason
    ] + [
        f"{route}: no objective is a decision: add {route.rule.rule!r} to WITHOUT_OBJECTIVE"
        " in tests/guards/route_rules.py"
        for route in without
        if route.policy.no_objective_reason and route.rule.rule not in WITHOUT_OBJECTIVE
    ]


def body_problems(app: Flask) -> list[str]:
    """Return the routes that accept a body without a schema."""
    return [
        f"{route}: put @blueprint.arguments(<Schema>()) on the view"
        for route in routes(app)
        if route.method in METHODS_WITH_BODY and not route.schemas.keys() & BODY_LOCATIONS
    ]


def schema_problems(app: Flask) -> list[str]:
    """Return the input schemas that are classes, ignore unknown members, or are no `RequestSchema`."""
    return [
        f"{route}: {problem}"
        for route in routes(app)
        for location, schema in route.schemas.items()
        if (problem := _schema_problem(location, schema))
    ]


def _schema_problem(location: str, schema: Schema | type[Schema]) -> str:
    if isinstance(schema, type):
        return f"write {schema.__name__}() instead of {schema.__name__}: a class is instantiated with every request"
    if location in BODY_LOCATIONS and not isinstance(schema, RequestSchema):
        return f"let {type(schema).__name__} subclass app.platform.api.fields.RequestSchema"
    if location != "headers" and schema.unknown != RAISE:  # other headers are always present
        return f"write `unknown = RAISE` in the Meta class of {type(schema).__name__}"
    return ""


def header_problems(app: Flask) -> list[str]:
    """Return the request headers of routes that pages of other origins may not send (CORS)."""
    allowed = platform_of(app).request_headers
    return [
        f"{route}: add {name} to request_headers of the Feature"
        for route in routes(app)
        for field, item in (route.schemas["headers"].fields.items() if "headers" in route.schemas else ())
        if (name := item.data_key or field) not in allowed
    ]


def bound_problems(app: Flask) -> list[str]:
    """Return the JSON bodies without a bound: the longer they are, the more does it cost to reject them."""
    return [
        f"{route}: give every text in {type(schema).__name__} a maximum length (validate.Length), and write"
        " BoundedList of app.platform.api.fields instead of fields.List"
        for route in routes(app)
        for location, schema in route.schemas.items()
        if location == "json" and math.isinf(max_commas(type(schema)))
    ]


def path_problems(app: Flask) -> list[str]:
    """Return the routes with a variable part that is neither an integer nor a UUID."""
    return [
        f"{route}: write <int:{name}> instead of <{name}>"
        for route in all_routes(app)
        for name, converter in route.rule._converters.items()
        if not isinstance(converter, IntegerConverter | UUIDConverter) and route.rule.rule not in NAMES
    ]


def list_problems(app: Flask) -> list[str]:
    """Return the routes whose response is a list without a bounded page size."""
    return [f"{route}: {problem}" for route in routes(app) if (problem := _list_problem(route))]


def _list_problem(route: Route) -> str:
    if any(schema.many for schema in route.response_schemas):
        return "return a page, a schema with `items` and `next`, instead of a bare list"
    query = route.schemas.get("query")
    if not isinstance(query, PageQuery):
        is_page = any({"items", "next"} <= schema.fields.keys() for schema in route.response_schemas)
        fix = "put @blueprint.arguments(PageQuery(), location='query') of app.platform.api.pagination on the view"
        return fix if is_page else ""
    is_bounded = query.load({}).get("limit", MAX_LIMIT + 1) <= MAX_LIMIT and query.validate({"limit": MAX_LIMIT + 1})
    return "" if is_bounded else f"keep `limit` of PageQuery: its default and its maximum are at most {MAX_LIMIT}"


def async_problems(app: Flask) -> list[str]:
    """Return the async views, which `ServiceFlask` does not run."""
    return [
        f"{route}: write `def` instead of `async def`; this service runs in threads"
        for route in all_routes(app)
        if inspect.iscoroutinefunction(inspect.unwrap(route.view))
    ]


def label_problems(app: Flask) -> list[str]:
    """Request every route with an id, and return the metrics that have the id in a label."""
    client = app.test_client()
    for route in all_routes(app):
        client.open(route.path(ID), method=route.method, buffered=True)
    return [
        f"{name}: the label {label!r} contains an id of a request ({value!r}): every id creates a time series."
        " Use the URL rule: request.url_rule.rule"
        for name, label, value in sorted(set(_labels()))
        if str(ID) in value
    ]


def _labels() -> Iterator[tuple[str, str, str]]:
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            for label, value in sample.labels.items():
                yield metric.name, label, value
