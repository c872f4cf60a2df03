"""Rules for the specifications. Each function returns the problems of one operation, with the fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contract.operations import PROBLEM, Operation
from tests.routes import Route

BODY_LOCATIONS = {"json", "files", "form"}
RESPONSE_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
DOCUMENT = "app/platform/api/openapi/document.py"


def possible_errors(route: Route) -> set[int]:
    """Return the error statuses that the decorators of a route imply."""
    found = {422, 500, 503}  # 422: every route rejects an undeclared query
    if BODY_LOCATIONS & route.schemas.keys():
        found |= {400, 413, 415}
    if not route.is_public:
        found |= {401, 403}
    if route.rule.arguments:
        found |= {404}
    if route.policy.rate_limit:
        found |= {429}
    return found


def status_problems(operation: Operation) -> Iterator[str]:
    """Yield the error statuses that the specification omits."""
    if missing := possible_errors(operation.route) - operation.responses.keys():
        yield f"{operation}: the statuses {sorted(missing)} are not documented: add them in {DOCUMENT}"


def error_problems(operation: Operation) -> Iterator[str]:
    """Yield the errors that are not documented as a problem (RFC 9457) with a valid example."""
    for status, response in operation.responses.items():
        if status < 400:
            continue
        media = response.get("content", {}).get(PROBLEM)
        if not media or len(response["content"]) != 1:
            yield f"{operation}: document {status} as {PROBLEM} only"
        elif media["example"].get("status") != status or operation.schema_errors(media["schema"], media["example"]):
            yield f"{operation}: the example of {status} does not match its schema and status"


def response_example_problems(operation: Operation) -> Iterator[str]:
    """Yield the responses whose example is missing or does not match their schema."""
    for status, response in operation.responses.items():
        for media_type, media in response.get("content", {}).items():
            yield from _example_problems(f"{operation}: response {status} as {media_type}", operation, media)


def body_example_problems(operation: Operation) -> Iterator[str]:
    """Yield the bodies whose example is missing, does not match their schema, or is rejected by the service."""
    for media_type, media in operation.bodies.items():
        yield from _example_problems(f"{operation}: body as {media_type}", operation, media)
        if media_type == "application/json" and (errors := operation.route.schemas["json"].validate(media["example"])):
            yield f"{operation}: the service rejects the example of the body ({errors}): set `example` in its fields"


def _example_problems(where: str, operation: Operation, media: Any) -> Iterator[str]:
    if "example" not in media:
        yield f"{where} has no example: set `example` in the metadata of the schema's fields"
    elif errors := operation.schema_errors(media["schema"], media["example"]):
        yield f"{where}: the example does not match the schema ({errors}): correct `example` in the field's metadata"


def parameter_problems(operation: Operation) -> Iterator[str]:
    """Yield the locations whose example parameters the service rejects."""
    for location, schema in operation.route.schemas.items():
        examples = {
            parameter["name"]: parameter["schema"]["example"]
            for parameter in operation.described.get("parameters", [])
            if parameter["in"] == location and "example" in parameter["schema"]
        }
        if examples and (errors := schema.validate(examples)):
            yield f"{operation}: the service rejects the examples of the {location} ({errors}): correct `example`"


def closed_body_problems(operation: Operation) -> Iterator[str]:
    """Yield the bodies that allow members without a name in the schema."""
    for media in operation.bodies.values():
        if operation.resolved(media["schema"]).get("additionalProperties") is not False:
            yield f"{operation}: let the schema of the body subclass app.platform.api.fields.RequestSchema"


def header_problems(operation: Operation) -> Iterator[str]:
    """Yield the responses that do not document their headers."""
    for status, response in operation.responses.items():
        expected = {"X-Request-ID", "RateLimit-Remaining", RESPONSE_HEADERS.get(status, "X-Request-ID")}
        if missing := expected - response.get("headers", {}).keys():
            yield f"{operation}: response {status} omits the headers {sorted(missing)}: add them in {DOCUMENT}"


def step_up_problems(operation: Operation) -> Iterator[str]:
    """Yield the operations that need a recent login and do not say so, and those that say so and do not need one."""
    described = "insufficient_user_authentication" in operation.responses.get(401, {}).get("description", "")
    if described != operation.route.policy.recent_login:
        yield f"{operation}: the description of 401 must follow @recent_login_required: correct {DOCUMENT}"


def security_problems(operation: Operation) -> Iterator[str]:
    """Yield the operations whose documented security differs from the access rule of the view."""
    route = operation.route
    bearer = {"bearer": ["admin"] if route.access == "admin" else []}
    api_key = [{"apiKey": [route.scope]}] if route.scope and "apiKey" in operation.security_schemes else []
    if operation.described.get("security") != ([] if route.is_public else [bearer, *api_key]):
        yield f"{operation}: `security` must follow the access decorator of the view: correct {DOCUMENT}"
