"""What nginx adds: closed paths, honest addresses, and errors of its own in the service's shape."""

from __future__ import annotations

import json

import pytest

from e2e.client import Answer, Client
from e2e.engine import docker, health, wait_until
from e2e.stack import Stack

MEMBERS = {"type", "title", "status", "detail", "instance", "message", "request_id"}
CLOSED = [
    *("/metrics", "/metrics/", "//metrics", "/%6detrics", "/METRICS", "/docs/../metrics", "/metrics?x=%22"),
    *("/prometheus/metrics-http", "/health/detailed", "/health//detailed"),
]


def assert_problem(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == MEMBERS
    assert problem["status"] == status
    assert problem["message"]
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.req("R3", "O1", "S8")
@pytest.mark.parametrize("path", CLOSED)
def test_what_operators_see_is_closed_outside(stack: Stack, api: Client, path: str) -> None:
    token = stack.setting("METRICS_TOKEN")

    for client in (api, api.with_token(token)):
        assert_problem(client.get(path), 404)


@pytest.mark.req("S11", "R3")
def test_a_body_over_51_mb_is_refused_by_the_proxy_and_one_over_1_mb_by_the_service(api: Client) -> None:
    assert_problem(api.announce("/api/v1/auth/login", 53_477_377), 413)
    assert_problem(api.post("/api/v1/auth/login", {"email": "x" * 1_100_000}), 413)


@pytest.mark.req("S11", "R3")
def test_what_nginx_cannot_read_is_answered_as_a_problem(api: Client) -> None:
    assert_problem(api.get("/" + 40_000 * "a"), 414)
    assert_problem(api.get("/ready", {"X-Long": 40_000 * "a"}), 400)
    assert_problem(api.get("/ready", {"Host": "a b"}), 400)


@pytest.mark.req("S11")
def test_a_quote_in_the_path_stays_a_path(api: Client) -> None:
    assert api.get('/metrics/"x').json()["instance"] == ""  # left out, as it would have to be escaped


@pytest.mark.req("S12")
def test_a_request_id_goes_through_and_a_bad_one_is_replaced(api: Client) -> None:
    for path in ("/ready", "/metrics"):
        assert api.get(path, {"X-Request-ID": "mine-1.2_3"}).headers["X-Request-ID"] == "mine-1.2_3"
        assert api.get(path, {"X-Request-ID": 'mine", "x": "'}).headers["X-Request-ID"].isalnum()


@pytest.mark.req("S10")
def test_the_proxy_does_not_tell_its_version(api: Client) -> None:
    assert {api.get(path).headers["Server"] for path in ("/ready", "/metrics")} == {"nginx"}


@pytest.mark.req("S10", "A8")
def test_a_claimed_address_does_not_reset_the_login_limit(api: Client, ada: Client) -> None:
    del ada  # has signed in by now
    wrong = {"email": "nobody@example.com", "password": "not the password"}
    claims = ("X-Forwarded-For", "X-Real-IP", "Forwarded")

    statuses = [
        api.post(
            "/api/v1/auth/login",
            wrong,
            {claim: f"for=198.51.100.{n}"[4 * (claim != "Forwarded") :] for claim in claims},
        ).status
        for n in range(6)
    ]

    assert statuses[0] == 401
    assert statuses[-1] == 429


@pytest.mark.req("S12", "R3")
def test_the_proxy_logs_json_without_the_query(stack: Stack, api: Client) -> None:
    api.get("/api/v1/locations/active?bbox=1,2,3,4", {"X-Request-ID": "logged-by-nginx", "User-Agent": 'a"b'})

    lines = docker("logs", "--tail", "50", stack.containers("nginx")[0]).splitlines()
    (line,) = (json.loads(line) for line in lines if "logged-by-nginx" in line)
    assert line["path"] == "/api/v1/locations/active"
    assert line["status"] == 401
    assert line["agent"] == 'a"b'


@pytest.mark.req("S11", "R3")
def test_without_any_replica_the_proxy_answers_502_and_recovers(stack: Stack, api: Client) -> None:
    stack.compose("stop", "--timeout", "1", "web")
    try:
        # For a second the proxy still knows the addresses of those that are gone, and waits there in vain: 504.
        wait_until(lambda: api.get("/ready").status == 502, 10, "the proxy did not see that nobody is there")
        away = api.get("/ready")
    finally:
        stack.compose("start", "web", seconds=300)
        wait_until(lambda: api.get("/ready").status == 200, 60, "the service did not come back")
        everybody = [container for service in stack.services() for container in stack.containers(service)]
        wait_until(
            lambda: {health(container) for container in everybody} == {"healthy"}, 120, "not all became healthy again"
        )

    assert_problem(away, 502)
    assert away.headers["Retry-After"] == "5"
