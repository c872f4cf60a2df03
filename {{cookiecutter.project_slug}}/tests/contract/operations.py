"""The operations of the specifications, each with its route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin
from jsonschema import Draft202012Validator

from app.platform.api.openapi import describe
from app.platform.api.versions import VERSIONS
from tests.routes import Route, routes

PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Operation:
    """One operation of a specification and its route."""

    document: Mapping[str, Any]
    described: Mapping[str, Any]
    route: Route

    def __str__(self) -> str:
        return str(self.route)

    @property
    def responses(self) -> dict[int, Mapping[str, Any]]:
        """The responses by status."""
        return {int(status): self.resolved(response) for status, response in self.described["responses"].items()}

    @property
    def bodies(self) -> Mapping[str, Any]:
        """The request bodies by media type."""
        content: Mapping[str, Any] = self.described.get("requestBody", {}).get("content", {})
        return content

    @property
    def security_schemes(self) -> Mapping[str, Any]:
        """The credentials that the document describes."""
        schemes: Mapping[str, Any] = self.document["components"]["securitySchemes"]
        return schemes

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the target of a reference, or the part itself."""
        if "$ref" not in part:
            return part
        _, _, kind, name = part["$ref"].split("/")
        return self.resolved(self.document["components"][kind][name])

    def schema_errors(self, schema: Mapping[str, Any], value: object) -> list[str]:
        """Return the errors of a value under a schema."""
        whole = {"components": self.document["components"], **schema}
        validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        return [error.message for error in validator.iter_errors(value)]


def operations(app: Flask) -> Iterator[Operation]:
    """Yield every operation of every version."""
    documents = {version: describe(app, version) for version in VERSIONS}
    for route in routes(app):
        document = documents.get(route.rule.rule.split("/")[2])
        path = FlaskPlugin.flaskpath2openapi(route.rule.rule)
        if document is not None:
            yield Operation(document, document["paths"][path][route.method.lower()], route)
