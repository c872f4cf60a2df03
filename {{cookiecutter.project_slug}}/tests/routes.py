"""The registered routes of an app, for tests over all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from app.platform.api.request_parsing import declared_inputs
from app.platform.web.route_policy import RoutePolicy, policy_of


@dataclass(frozen=True)
class Route:
    """One method of one URL rule."""

    method: str
    rule: Rule
    view: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"

    def path(self, value: object = 1) -> str:
        """Return a path that the route matches, with the same value for every variable part."""
        return re.sub("<[^>]*>", lambda _: str(value), self.rule.rule)

    @property
    def policy(self) -> RoutePolicy:
        return policy_of(self.view)

    @property
    def access(self) -> str:
        """The name of the access rule; empty if the view declares none."""
        return self.policy.access.name if self.policy.access else ""

    @property
    def is_public(self) -> bool:
        return self.access == "public"

    @property
    def scope(self) -> str:
        """The scope that an API key needs; empty if the route accepts no API keys."""
        return self.policy.scope

    @property
    def schemas(self) -> dict[str, Schema]:
        """The schemas of the input, by location: json, query, files, form, headers."""
        return {declared["in"]: declared["schema"] for declared in declared_inputs(self.view)}

    @property
    def documented_statuses(self) -> set[int]:
        """The statuses that the decorators of flask-smorest document."""
        return set(getattr(self.view, "_apidoc", {}).get("response", {}).get("responses", {}))

    @property
    def response_schemas(self) -> list[Schema]:
        """The schemas of the responses with a body."""
        documented = getattr(self.view, "_apidoc", {}).get("response", {}).get("responses", {})
        found = [variant.get("schema") for variants in documented.values() for variant in variants]
        return [schema for schema in found if isinstance(schema, Schema)]


def all_routes(app: Flask) -> Iterator[Route]:
    """Yield every route of the app."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(method, rule, app.view_functions[rule.endpoint])


def routes(app: Flask) -> Iterator[Route]:
    """Yield every route of the API in every version, without the specifications."""
    for route in all_routes(app):
        if route.rule.rule.startswith("/api/") and not route.rule.rule.endswith("/openapi.json"):
            yield route
