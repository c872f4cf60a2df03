"""The operations of a specification, each with the route that it describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin
from jsonschema import Draft202012Validator

from app.openapi import describe
from app.versions import VERSIONS
from tests.routes import Route, routes

PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Operation:
    """What a specification says of a route."""

    document: Mapping[str, Any]
    said: Mapping[str, Any]
    route: Route

    def __str__(self) -> str:
        return str(self.route)

    @property
    def answers(self) -> dict[int, Mapping[str, Any]]:
        """What may be answered, by status."""
        return {int(status): self.resolved(answer) for status, answer in self.said["responses"].items()}

    @property
    def bodies(self) -> Mapping[str, Any]:
        """What the body may be, by media type."""
        content: Mapping[str, Any] = self.said.get("requestBody", {}).get("content", {})
        return content

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference leads to."""
        if "$ref" not in part:
            return part
        _, _, kind, name = part["$ref"].split("/")
        return self.resolved(self.document["components"][kind][name])

    def faults(self, schema: Mapping[str, Any], value: object) -> list[str]:
        """What is wrong with a value, going by its schema."""
        whole = {"components": self.document["components"], **schema}
        validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        return [error.message for error in validator.iter_errors(value)]


def operations(app: Flask) -> Iterator[Operation]:
    """Every operation of every version."""
    described = {version: describe(app, version) for version in VERSIONS}
    for route in routes(app):
        document = described.get(route.rule.rule.split("/")[2])
        path = FlaskPlugin.flaskpath2openapi(route.rule.rule)
        if document is not None:
            yield Operation(document, document["paths"][path][route.method.lower()], route)
