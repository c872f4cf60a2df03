"""Complete the document that flask-smorest generates: security, errors, headers, examples, operation ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin
from werkzeug.http import HTTP_STATUS_CODES

from app.platform.api.openapi import problems, request_headers
from app.platform.api.openapi.examples import example
from app.platform.api.openapi.response_headers import (
    COMMON_HEADERS,
    DEPRECATION_HEADERS,
    HEADERS,
    RATE_LIMIT_HEADERS,
)
from app.platform.api.versions import deprecations_of
from app.platform.components import platform_of
from app.platform.security.access import ADMIN, ApiKeys
from app.platform.settings.declarations import settings_of
from app.platform.web.problem_types import BLANK, ProblemType, possible_uris, problem_types_of
from app.platform.web.route_policy import policy_of

SCHEMAS = "#/components/schemas/"
DESCRIPTION = (
    "Every error is a problem document (RFC 9457) with the id of its request and, for invalid input, a message per "
    "field. Its `type` names the kind of error: `x-problem-types` lists those of a response, and `GET /problems` "
    "explains them. Lists are paginated: send `next` back as `cursor` until it is null. Ids count up from 1, so "
    "clients whose integers have 53 bits can read them. Rate limits apply to each user, or to each client address "
    "without a login; the `RateLimit-*` headers report the remaining requests. Members and parameters that are not "
    "described here are rejected in requests. Responses may gain new members and enum values."
)
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` that the login returns.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key; only for operations that list a scope, and the key must have that scope.",
    },
}
OPERATION_KEYS = (
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
    """One operation: its path and method, the part that flask-smorest generated, and its view."""

    path: str
    method: str
    generated: dict[str, Any]
    view: Any
    accepts_api_keys: bool

    @property
    def is_public(self) -> bool:
        """Whether no authentication is required."""
        return bool(policy_of(self.view).public_reason)

    @property
    def is_limited(self) -> bool:
        """Whether a rate limit applies."""
        return not policy_of(self.view).no_rate_limit_reason

    @property
    def problem_types(self) -> tuple[ProblemType, ...]:
        """The types of problems that the operation declares."""
        return policy_of(self.view).problem_types

    def error_statuses(self) -> Iterator[int]:
        """Yield the error statuses that the operation can return, in addition to those that it declares."""
        yield from (problem_type.status for problem_type in self.problem_types)
        yield from problems.possible_statuses(
            takes_body="requestBody" in self.generated,
            is_public=self.is_public,
            has_identifier="{" in self.path,
            is_limited=self.is_limited,
        )

    def declared_types(self) -> dict[int, list[ProblemType]]:
        """Return the types of problems that the view declares, by status."""
        types: dict[int, list[ProblemType]] = {}
        for problem_type in self.problem_types:
            types.setdefault(problem_type.status, []).append(problem_type)
        return types

    def meaning(self, status: int, types: Sequence[ProblemType]) -> str:
        """Describe an error response: what any rejected caller gets, and the types that the view declares."""
        if status == HTTPStatus.UNAUTHORIZED and policy_of(self.view).recent_login:
            return problems.STEP_UP
        shared = [problems.ERROR_RESPONSES[status].description] if self.rejects_callers(status) else []
        return " ".join([*shared, *(problem_type.meaning for problem_type in types)])

    def rejects_callers(self, status: int) -> bool:
        """Whether the status also means that the caller has no access."""
        return status in problems.CALLER_STATUSES and not self.is_public

    def security(self) -> list[dict[str, list[str]]]:
        """Return the security requirements: none, a login (maybe as an admin), or also an API key with a scope."""
        if self.is_public:
            return []
        policy = policy_of(self.view)
        roles = ["admin"] if policy.access is ADMIN else []
        scope = policy.scope if self.accepts_api_keys else ""
        return [{"bearer": roles}, *([{"apiKey": [scope]}] if scope else [])]


def complete_document(app: Flask, version: str, generated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a version, completed from the one that flask-smorest generated, in a stable order."""
    paths, schemas = deepcopy(generated["paths"]), deepcopy(generated["components"]["schemas"])
    deprecated = version in deprecations_of(app)
    extra = DEPRECATION_HEADERS if deprecated else ()
    for name, operation in _operations(app, version, paths):
        completed = _complete_operation(operation, name, schemas, extra) | ({"deprecated": True} if deprecated else {})
        paths[operation.path][operation.method] = {key: completed[key] for key in OPERATION_KEYS if key in completed}
    return {
        "openapi": generated["openapi"],
        "info": _info(app, version),
        "tags": [{**tag, "name": _tag(tag["name"])} for tag in generated.get("tags", [])],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _with_types(app, _schemas(paths, schemas)),
            "responses": {
                error.name: _shared_response(error, status, extra) for status, error in problems.ERROR_RESPONSES.items()
            },
            "headers": {
                name: _header(**options)
                for name, options in HEADERS.items()
                if extra or name not in DEPRECATION_HEADERS
            },
            "securitySchemes": _security_schemes(app),
        },
    }


def _security_schemes(app: Flask) -> dict[str, Any]:
    names = {"bearer"} | ({"apiKey"} if platform_of(app).find(ApiKeys) else set())
    return {name: scheme for name, scheme in SECURITY_SCHEMES.items() if name in names}


def _info(app: Flask, version: str) -> dict[str, Any]:
    settings = settings_of(app)
    contact = {"name": f"Operators of {settings.SERVICE_NAME}"}
    if settings.PUBLIC_BASE_URL:
        contact["url"] = settings.PUBLIC_BASE_URL
    description = DESCRIPTION
    if deprecation := deprecations_of(app).get(version):
        removal = f" It will be removed on {deprecation.sunset:%Y-%m-%d}." if deprecation.sunset else ""
        notice = f"**Deprecated since {deprecation.since:%Y-%m-%d}: use {deprecation.successor}.**{removal}"
        description = f"{notice}\n\n{DESCRIPTION}"
    return {"title": settings.SERVICE_NAME, "version": version, "description": description, "contact": contact}


def _operations(app: Flask, version: str, paths: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    api_keys = platform_of(app).find(ApiKeys) is not None
    for rule in app.url_map.iter_rules():
        path = FlaskPlugin.flaskpath2openapi(rule.rule)
        if not rule.endpoint.startswith(f"{version}_") or path not in paths:
            continue
        for method in sorted(paths[path].keys() & {name.lower() for name in rule.methods or ()}):
            view = app.view_functions[rule.endpoint]
            yield (
                _unversioned(rule.endpoint).replace(".", "_"),
                Operation(path, method, paths[path][method], view, api_keys),
            )


def _unversioned(name: str) -> str:
    """Return `users` for `v1_users`."""
    return name.partition("_")[2]


def _tag(name: str) -> str:
    """Return `api keys` for `v1_api_keys`."""
    return _unversioned(name).replace("_", " ")


def _complete_operation(
    operation: Operation, name: str, schemas: Mapping[str, Any], extra: tuple[str, ...]
) -> dict[str, Any]:
    generated, policy = operation.generated, policy_of(operation.view)
    for media_type in generated.get("requestBody", {}).get("content", {}).values():
        media_type.setdefault("example", example(media_type["schema"], schemas))
    headers = COMMON_HEADERS + (RATE_LIMIT_HEADERS if operation.is_limited else ()) + extra
    responses = {int(status): response for status, response in generated.get("responses", {}).items()}
    if policy.has_etag and operation.method == "get":
        responses.setdefault(304, {"description": request_headers.NOT_MODIFIED})
    for status in operation.error_statuses():
        responses.setdefault(status, {})
    for status, types in operation.declared_types().items():
        responses[status] = {"description": operation.meaning(status, types)}
    parameters = [*generated.get("parameters", []), *request_headers.parameters(policy, operation.method)]
    return {
        **generated,
        **({"parameters": parameters} if parameters else {}),
        "operationId": generated.get("operationId", name),  # `@blueprint.doc(operationId=...)` takes precedence
        "tags": [_tag(tag) for tag in generated["tags"]],
        "security": operation.security(),
        "responses": {
            str(status): _response(
                status,
                responses[status],
                (*headers, *request_headers.response_headers(policy, status)),
                schemas,
                operation.declared_types().get(status, ()),
            )
            for status in sorted(responses)
        },
    }


def _response(
    status: int,
    declared: Mapping[str, Any],
    headers: tuple[str, ...],
    schemas: Mapping[str, Any],
    types: Sequence[ProblemType],
) -> dict[str, Any]:
    """Return one response of an operation; an error of its shared types only refers to the shared response."""
    has_description = declared.get("description") not in (None, HTTPStatus(status).phrase)
    if status in problems.ERROR_RESPONSES and not has_description:
        return {"$ref": f"#/components/responses/{problems.ERROR_RESPONSES[status].name}"}
    # Werkzeug's names of statuses, because those of Python differ between versions.
    description = declared["description"] if has_description else HTTP_STATUS_CODES[status]
    response = {**declared, "description": description, "headers": _references(headers) | declared.get("headers", {})}
    if status >= HTTPStatus.BAD_REQUEST:
        if status in problems.ERROR_RESPONSES:
            response["headers"] |= _references(problems.ERROR_RESPONSES[status].headers)
        uris = response["x-problem-types"] = possible_uris(status, types)
        response.setdefault("content", problems.content(status, description, uris))
    for media_type in response.get("content", {}).values():
        media_type.setdefault("example", example(media_type.get("schema", {}), schemas))
    return response


def _shared_response(error: problems.ErrorResponse, status: int, extra: tuple[str, ...]) -> dict[str, Any]:
    headers = _references(COMMON_HEADERS + RATE_LIMIT_HEADERS + error.headers + extra)
    uris = possible_uris(status, ())
    content = problems.content(status, error.detail, uris)
    return {"description": error.description, "headers": headers, "x-problem-types": uris, "content": content}


def _with_types(app: Flask, schemas: dict[str, Any]) -> dict[str, Any]:
    """Add the list of all types to the schema of problems."""
    types = [BLANK, *(problem_type.uri for problem_type in problem_types_of(app).values())]
    schemas["Problem"]["properties"]["type"] |= {"enum": types}
    return schemas


def _references(headers: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _header(description: str, type: str = "string", *, required: bool = False) -> dict[str, Any]:  # noqa: A002 - JSON Schema's keyword
    return {"description": description, "required": required, "schema": {"type": type}}


def _schemas(paths: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas in use; only those of requests are closed, because responses may gain members."""
    operations = [operation for path in paths.values() for operation in path.values() if isinstance(operation, dict)]
    in_requests = _referenced([operation.get("requestBody", {}) for operation in operations], schemas)
    in_responses = _referenced([operation["responses"] for operation in operations], schemas) | {"Problem"}
    for name in in_responses - in_requests:
        schemas[name].pop("additionalProperties", None)
    return {name: schemas[name] for name in sorted(in_requests | in_responses)}


def _referenced(part: Any, schemas: Mapping[str, Any]) -> set[str]:
    """Return the names of all schemas that a part of the document refers to, directly or indirectly."""
    names: set[str] = set()
    pending = [part]
    while pending:
        part = pending.pop()
        if isinstance(part, (dict, list)):
            pending += part.values() if isinstance(part, dict) else part
        elif isinstance(part, str) and part.startswith(SCHEMAS) and part.removeprefix(SCHEMAS) not in names:
            names.add(part.removeprefix(SCHEMAS))
            pending.append(schemas[part.removeprefix(SCHEMAS)])
    return names
