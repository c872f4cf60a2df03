"""The specifications describe the input, the responses and the access of every route."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.contract.operations import Operation, operations
from tests.guards import specification_rules as rules

Rule = Callable[[Operation], Iterator[str]]
Problems = Callable[[Rule], list[str]]


@pytest.fixture(scope="module")
def documented_operations(app: Flask) -> list[Operation]:
    return list(operations(app))


@pytest.fixture
def problems(app: Flask, documented_operations: list[Operation]) -> Problems:
    def check(rule: Rule) -> list[str]:
        with app.app_context():
            return [problem for operation in documented_operations for problem in rule(operation)]

    return check


@pytest.mark.req("A7")
def test_every_possible_status_is_documented(problems: Problems) -> None:
    assert problems(rules.status_problems) == []


@pytest.mark.req("A7", "S11")
def test_every_error_is_documented_as_a_problem(problems: Problems) -> None:
    assert problems(rules.error_problems) == []


@pytest.mark.req("A7")
def test_every_response_body_has_a_valid_example(problems: Problems) -> None:
    assert problems(rules.response_example_problems) == []


@pytest.mark.req("A6", "A7")
def test_every_body_has_an_example_that_the_service_accepts(problems: Problems) -> None:
    assert problems(rules.body_example_problems) == []


@pytest.mark.req("A6", "A7")
def test_service_accepts_every_example_parameter(problems: Problems) -> None:
    assert problems(rules.parameter_problems) == []


@pytest.mark.req("A7", "A10")
def test_every_route_that_needs_a_recent_login_says_so(problems: Problems) -> None:
    assert problems(rules.step_up_problems) == []


@pytest.mark.req("A6", "A7")
def test_every_body_is_closed(problems: Problems) -> None:
    assert problems(rules.closed_body_problems) == []


@pytest.mark.req("A7")
def test_every_response_documents_its_headers(problems: Problems) -> None:
    assert problems(rules.header_problems) == []


@pytest.mark.req("A2", "A7")
def test_access_is_documented(problems: Problems) -> None:
    assert problems(rules.security_problems) == []
