"""The routes of the API as they are, for tests that go over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule


@dataclass(frozen=True)
class Route:
    """One method of one address."""

    method: str
    rule: Rule
    view: Any

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"

    def path(self, part: object = 1) -> str:
        """An address that the route answers at, with the same value for every part that is free."""
        return re.sub("<[^>]*>", lambda _: str(part), self.rule.rule)

    @property
    def access(self) -> str:
        """The name of the rule about who may call."""
        name: str = self.view.access.__name__
        return name.lstrip("_")

    @property
    def is_public(self) -> bool:
        return self.access == "anybody"

    @property
    def scope(self) -> str | None:
        """What an API key must be for."""
        return getattr(self.view, "scope", None)

    @property
    def schemas(self) -> dict[str, Schema]:
        """What the input must look like, by where it comes from: json, query, files, form."""
        declared = getattr(self.view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
        return {parameter["in"]: parameter["schema"] for parameter in declared}


def routes(app: Flask) -> Iterator[Route]:
    """Every route of the API, whatever its version."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/") or rule.rule.endswith("/openapi.json"):
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(method, rule, app.view_functions[rule.endpoint])
