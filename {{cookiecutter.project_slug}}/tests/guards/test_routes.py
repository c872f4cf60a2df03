"""Every route follows the rules of `route_rules`."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.guards import route_rules


@pytest.mark.req("A2")
def test_every_route_declares_its_access(app: Flask) -> None:
    assert route_rules.access_problems(app) == []


@pytest.mark.req("A10")
def test_every_route_that_needs_a_recent_login_needs_a_login(app: Flask) -> None:
    assert route_rules.step_up_problems(app) == []


@pytest.mark.req("A2")
def test_every_public_route_has_a_reason_and_is_listed(app: Flask) -> None:
    assert route_rules.public_problems(app) == []


@pytest.mark.req("A8")
def test_every_route_has_a_rate_limit_or_a_reason(app: Flask) -> None:
    assert route_rules.rate_limit_problems(app) == []


@pytest.mark.fault("F2")
@pytest.mark.req("A8")
def test_every_public_route_with_a_body_limits_its_target(app: Flask) -> None:
    assert route_rules.target_problems(app) == []


@pytest.mark.req("A9")
def test_every_route_that_creates_accepts_an_idempotency_key(app: Flask) -> None:
    assert route_rules.idempotency_problems(app) == []


@pytest.mark.req("A9")
def test_every_read_of_one_object_has_an_etag(app: Flask) -> None:
    assert route_rules.etag_problems(app) == []


@pytest.mark.fault("F38")
@pytest.mark.req("S10")
def test_router_redirects_to_no_route(app: Flask) -> None:
    assert route_rules.redirect_problems(app) == []


@pytest.mark.req("O3")
def test_every_route_has_an_objective_or_a_reason(app: Flask) -> None:
    assert route_rules.objective_problems(app) == []


@pytest.mark.req("A6")
def test_every_route_with_a_body_has_a_schema(app: Flask) -> None:
    assert route_rules.body_problems(app) == []


@pytest.mark.req("A6")
def test_every_input_schema_is_a_strict_instance(app: Flask) -> None:
    assert route_rules.schema_problems(app) == []


@pytest.mark.req("S10")
def test_pages_of_other_origins_may_send_the_headers_of_every_route(app: Flask) -> None:
    assert route_rules.header_problems(app) == []


@pytest.mark.fault("F4")
@pytest.mark.req("A6", "S13")
def test_every_json_body_is_bounded(app: Flask) -> None:
    assert route_rules.bound_problems(app) == []


@pytest.mark.req("A6")
def test_every_path_variable_has_a_converter(app: Flask) -> None:
    assert route_rules.path_problems(app) == []


@pytest.mark.req("A6")
def test_every_list_is_bounded(app: Flask) -> None:
    assert route_rules.list_problems(app) == []


def test_no_view_is_async(app: Flask) -> None:
    assert route_rules.async_problems(app) == []


@pytest.mark.req("O1")
def test_no_metric_has_an_id_as_label(app: Flask) -> None:
    assert route_rules.label_problems(app) == []
