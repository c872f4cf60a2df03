"""The guards of the specifications report violations in an operation, with the fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from tests.contract.operations import PROBLEM, Operation, operations
from tests.guards import specification_rules as rules

OPERATION = "POST /api/v1/auth/register"
LIST = "GET /api/v1/admin/users"
LOGOUT = "POST /api/v1/auth/logout"


def inlined(operation: Operation) -> Operation:
    """Return a copy whose responses contain no references, so that a test can change them."""
    described = deepcopy(dict(operation.described))
    described["responses"] = deepcopy({str(status): value for status, value in operation.responses.items()})
    return replace(operation, described=described)


def json_content(operation: Any, status: str) -> Any:
    (media,) = operation["responses"][status]["content"].values()
    return media


def body(operation: Any) -> Any:
    return operation["requestBody"]["content"]["application/json"]


def set_invalid_limit(operation: Any) -> None:
    (limit,) = (parameter for parameter in operation["parameters"] if parameter["name"] == "limit")
    limit["schema"]["example"] = 0


def open_body(operation: Any) -> None:
    body(operation)["schema"] = {"type": "object"}


VIOLATIONS: dict[str, tuple[str, Callable[[Operation], Iterator[str]], Callable[[Any], object], str]] = {
    "recent login": (
        LOGOUT,
        rules.step_up_problems,
        lambda operation: operation["responses"]["401"].update(description="insufficient_user_authentication"),
        "the description of 401 must follow @recent_login_required",
    ),
    "status": (
        OPERATION,
        rules.status_problems,
        lambda operation: operation["responses"].pop("429"),
        "the statuses [429] are not documented",
    ),
    "error as JSON": (
        OPERATION,
        rules.error_problems,
        lambda operation: operation["responses"]["422"].update(content={"application/json": {}}),
        f"document 422 as {PROBLEM} only",
    ),
    "error example of another status": (
        OPERATION,
        rules.error_problems,
        lambda operation: json_content(operation, "422")["example"].update(status=400),
        "the example of 422 does not match its schema and status",
    ),
    "no response example": (
        OPERATION,
        rules.response_example_problems,
        lambda operation: json_content(operation, "201").pop("example"),
        "response 201 as application/json has no example",
    ),
    "wrong response example": (
        OPERATION,
        rules.response_example_problems,
        lambda operation: json_content(operation, "201").update(example=[]),
        "response 201 as application/json: the example does not match the schema",
    ),
    "wrong body example": (
        OPERATION,
        rules.body_example_problems,
        lambda operation: body(operation).update(example={"email": 1}),
        "the service rejects the example of the body",
    ),
    "wrong parameter example": (
        LIST,
        rules.parameter_problems,
        set_invalid_limit,
        "the service rejects the examples of the query",
    ),
    "open body": (OPERATION, rules.closed_body_problems, open_body, "subclass app.platform.api.fields.RequestSchema"),
    "header": (
        OPERATION,
        rules.header_problems,
        lambda operation: operation["responses"]["429"]["headers"].pop("Retry-After"),
        "response 429 omits the headers ['Retry-After']",
    ),
    "public instead of admin": (
        LIST,
        rules.security_problems,
        lambda operation: operation.update(security=[]),
        "`security` must follow the access decorator",
    ),
    "admin instead of login": (
        LOGOUT,
        rules.security_problems,
        lambda operation: operation.update(security=[{"bearer": ["admin"]}]),
        "`security` must follow the access decorator",
    ),
}


@pytest.fixture(scope="module")
def documented_operations(app: Flask) -> dict[str, Operation]:
    return {str(operation): inlined(operation) for operation in operations(app)}


@pytest.mark.parametrize(("name", "rule", "violate", "message"), VIOLATIONS.values(), ids=VIOLATIONS)
@pytest.mark.req("A7")
def test_guard_reports_the_violation(
    app: Flask,
    documented_operations: dict[str, Operation],
    name: str,
    rule: Callable[[Operation], Iterator[str]],
    violate: Callable[[Any], object],
    message: str,
) -> None:
    operation = inlined(documented_operations[name])
    with app.app_context():
        before = list(rule(operation))

        violate(operation.described)
        after = list(rule(operation))

    assert before == []
    assert [problem for problem in after if problem.startswith(f"{name}: ") and message in problem]
