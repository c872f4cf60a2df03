"""What flask-smorest reads off the views, completed: who may call, what can go wrong, headers, examples, names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin
from werkzeug.http import HTTP_STATUS_CODES

from app.openapi import problems
from app.openapi.examples import example
from app.settings import settings_of
from app.versions import deprecations_of

ERRORS = 400  # and above
SCHEMAS = "#/components/schemas/"
ABOUT = (
    "Every error is a problem document (RFC 9457) that names the fields it is about and the id of its request. Lists "
    "come in pages: send `next` back as `cursor` until it is null. Limits hold for each user, or for each address "
    "where nobody is signed in; the headers `RateLimit-*` say what is left. Members and parameters that are not "
    "described here are refused, and answers may get new ones."
)
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of signing in.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key for programs, where an operation names a scope that the key was made for.",
    },
}
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {"description": "The request's id: the caller's own, where it sent one.", "required": True},
    "RateLimit-Limit": {"description": "How many requests the limit allows in any period.", "type": "integer"},
    "RateLimit-Remaining": {"description": "How many more it allows now.", "type": "integer"},
    "RateLimit-Reset": {"description": "Seconds until it allows one more.", "type": "integer"},
    "Retry-After": {"description": "Seconds to wait before the next try.", "type": "integer", "required": True},
    "WWW-Authenticate": {"description": "How to say who calls (RFC 9110).", "required": True},
    "Deprecation": {"description": "Since when callers should leave this version (RFC 9745).", "required": True},
    "Sunset": {"description": "When this version goes away (RFC 8594)."},
    "Link": {"description": "Where to read about it, and the route in the next version (RFC 5829).", "required": True},
}
OF_EVERY_ANSWER = ("X-Request-ID",)
OF_A_LIMIT = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
OF_A_DEPRECATED_VERSION = ("Deprecation", "Sunset", "Link")
ORDER = (
    "operationId",
    "summary",
    "description",
    "tags",
    "deprecated",
    "security",
    "parameters",
    "requestBody",
    "responses",
)


@dataclass(frozen=True)
class Operation:
    """One operation: its path and method, what is said about it so far, and the view that answers it."""

    path: str
    method: str
    said: dict[str, Any]
    view: Any

    @property
    def is_public(self) -> bool:
        """Whether anybody may call it."""
        return bool(self.view.access_reason)

    @property
    def is_limited(self) -> bool:
        """Whether it is held to a rate limit."""
        return getattr(self.view, "rate_limit", "RATELIMIT_DEFAULT") is not None

    def problems(self) -> Iterator[int]:
        """The statuses of errors that it can give, beside those that it declares itself."""
        return problems.possible(
            takes_body="requestBody" in self.said,
            is_public=self.is_public,
            has_identifier="{" in self.path,
            is_limited=self.is_limited,
        )

    def security(self) -> list[dict[str, list[str]]]:
        """Who may call it: anybody, somebody signed in (maybe as an admin), or also a key with a scope."""
        if self.is_public:
            return []
        roles = ["admin"] if self.view.access.__name__ == "_admin" else []
        scope = getattr(self.view, "scope", None)
        return [{"bearer": roles}, *([{"apiKey": [scope]}] if scope else [])]


def complete(app: Flask, version: str, read: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document of a version, out of what flask-smorest has read; always in the same order."""
    paths, schemas = deepcopy(read["paths"]), deepcopy(read["components"]["schemas"])
    deprecated = version in deprecations_of(app)
    extra = OF_A_DEPRECATED_VERSION if deprecated else ()
    for name, operation in _operations(app, version, paths):
        completed = _complete(operation, name, schemas, extra) | ({"deprecated": True} if deprecated else {})
        paths[operation.path][operation.method] = {part: completed[part] for part in ORDER if part in completed}
    return {
        "openapi": read["openapi"],
        "info": _info(app, version),
        "tags": [{**tag, "name": _tag(tag["name"])} for tag in read.get("tags", [])],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _schemas(paths, schemas),
            "responses": {kind.name: _shared(kind, status, extra) for status, kind in problems.KINDS.items()},
            "headers": {
                name: _header(**facts)
                for name, facts in HEADERS.items()
                if extra or name not in OF_A_DEPRECATED_VERSION
            },
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _info(app: Flask, version: str) -> dict[str, Any]:
    settings = settings_of(app)
    contact = {"name": f"Those who run {settings.SERVICE_NAME}"}
    if settings.PUBLIC_BASE_URL:
        contact["url"] = settings.PUBLIC_BASE_URL
    about = ABOUT
    if deprecation := deprecations_of(app).get(version):
        until = f" It goes away on {deprecation.sunset:%Y-%m-%d}." if deprecation.sunset else ""
        about = f"**Deprecated since {deprecation.since:%Y-%m-%d}: use {deprecation.successor}.**{until}\n\n{ABOUT}"
    return {"title": settings.SERVICE_NAME, "version": version, "description": about, "contact": contact}


def _operations(app: Flask, version: str, paths: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    for rule in app.url_map.iter_rules():
        path = FlaskPlugin.flaskpath2openapi(rule.rule)
        if not rule.endpoint.startswith(f"{version}_") or path not in paths:
            continue
        for method in sorted(paths[path].keys() & {name.lower() for name in rule.methods or ()}):
            view = app.view_functions[rule.endpoint]
            yield _name(rule.endpoint).replace(".", "_"), Operation(path, method, paths[path][method], view)


def _name(versioned: str) -> str:
    """`locations` of `v1_locations`."""
    return versioned.partition("_")[2]


def _tag(versioned: str) -> str:
    """`api keys` of `v1_api_keys`."""
    return _name(versioned).replace("_", " ")


def _complete(operation: Operation, name: str, schemas: Mapping[str, Any], extra: tuple[str, ...]) -> dict[str, Any]:
    said = operation.said
    for media in said.get("requestBody", {}).get("content", {}).values():
        media.setdefault("example", example(media["schema"], schemas))
    headers = OF_EVERY_ANSWER + (OF_A_LIMIT if operation.is_limited else ()) + extra
    answers = {int(status): answer for status, answer in said.get("responses", {}).items()}
    for status in operation.problems():
        answers.setdefault(status, {})
    return {
        **said,
        "operationId": name,
        "tags": [_tag(tag) for tag in said["tags"]],
        "security": operation.security(),
        "responses": {str(status): _answer(status, answers[status], headers, schemas) for status in sorted(answers)},
    }


def _answer(
    status: int, declared: Mapping[str, Any], headers: tuple[str, ...], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    """One answer of an operation; errors that it says nothing special about are described in one place for all."""
    says_nothing = declared.get("description") in (None, HTTPStatus(status).phrase)
    if status in problems.KINDS and says_nothing:
        return {"$ref": f"#/components/responses/{problems.KINDS[status].name}"}
    # In werkzeug's words, since those of Python differ from version to version.
    described = HTTP_STATUS_CODES[status] if says_nothing else declared["description"]
    answer = {**declared, "description": described, "headers": {**_references(headers), **declared.get("headers", {})}}
    if status >= ERRORS:
        answer["headers"] |= _references(problems.KINDS[status].headers if status in problems.KINDS else ())
        answer.setdefault("content", problems.content(status, answer["description"]))
    for media in answer.get("content", {}).values():
        media.setdefault("example", example(media.get("schema", {}), schemas))
    return answer


def _shared(kind: problems.Kind, status: int, extra: tuple[str, ...]) -> dict[str, Any]:
    headers = _references(OF_EVERY_ANSWER + OF_A_LIMIT + kind.headers + extra)
    return {"description": kind.when, "headers": headers, "content": problems.content(status, kind.detail)}


def _references(headers: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _header(description: str, type: str = "string", *, required: bool = False) -> dict[str, Any]:  # noqa: A002 - JSON Schema's word
    return {"description": description, "required": required, "schema": {"type": type}}


def _schemas(paths: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas that are in use, of which only those of requests are closed: answers may get new members."""
    operations = [operation for path in paths.values() for operation in path.values() if isinstance(operation, dict)]
    asked = _reached([operation.get("requestBody", {}) for operation in operations], schemas)
    answered = _reached([operation["responses"] for operation in operations], schemas) | {"Problem"}
    for name in answered - asked:
        schemas[name].pop("additionalProperties", None)
    return {name: schemas[name] for name in sorted(asked | answered)}


def _reached(part: Any, schemas: Mapping[str, Any]) -> set[str]:
    """The names of all schemas that a part of the document leads to."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if isinstance(part, (dict, list)):
            waiting += part.values() if isinstance(part, dict) else part
        elif isinstance(part, str) and part.startswith(SCHEMAS) and part.removeprefix(SCHEMAS) not in found:
            found.add(part.removeprefix(SCHEMAS))
            waiting.append(schemas[part.removeprefix(SCHEMAS)])
    return found
