"""The nginx proxy: blocked paths, client addresses, and its own errors as problem+json."""

from __future__ import annotations

import json

import pytest

from e2e.client import Client, Response
from e2e.engine import docker, health, wait_until
from e2e.stack import Stack

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "message", "request_id"}
BLOCKED_PATHS = [
    *("/metrics", "/metrics/", "//metrics", "/%6detrics", "/METRICS", "/docs/../metrics", "/metrics?x=%22"),
    *("/prometheus/metrics-http", "/health/detailed", "/health//detailed"),
]


def assert_problem(response: Response, status: int) -> None:
    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == PROBLEM_MEMBERS
    assert problem["status"] == status
    assert problem["message"]
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.req("R3", "O1", "S8")
@pytest.mark.parametrize("path", BLOCKED_PATHS)
def test_operator_paths_are_blocked_outside(stack: Stack, api: Client, path: str) -> None:
    token = stack.env_value("METRICS_TOKEN")

    for client in (api, api.with_token(token)):
        assert_problem(client.get(path), 404)


@pytest.mark.req("S11", "R3")
def test_proxy_and_service_reject_large_bodies(api: Client) -> None:
    assert_problem(api.post_headers_only("/api/v1/auth/login", 53_477_377), 413)  # over 51 MB: the proxy
    assert_problem(api.post("/api/v1/auth/login", {"email": "x" * 1_100_000}), 413)  # over 1 MB: the service


@pytest.mark.req("S11", "R3")
def test_malformed_request_returns_problem_json(api: Client) -> None:
    assert_problem(api.get("/" + 40_000 * "a"), 414)
    assert_problem(api.get("/ready", {"X-Long": 40_000 * "a"}), 400)
    assert_problem(api.get("/ready", {"Host": "a b"}), 400)


@pytest.mark.req("S11")
def test_quote_in_path_gives_valid_json(api: Client) -> None:
    assert api.get('/metrics/"x').json()["instance"] == ""  # nginx cannot escape the quote, so the path is omitted


@pytest.mark.req("S12")
def test_request_id_is_kept_and_invalid_one_is_replaced(api: Client) -> None:
    for path in ("/ready", "/metrics"):
        assert api.get(path, {"X-Request-ID": "mine-1.2_3"}).headers["X-Request-ID"] == "mine-1.2_3"
        assert api.get(path, {"X-Request-ID": 'mine", "x": "'}).headers["X-Request-ID"].isalnum()


@pytest.mark.req("S10")
def test_proxy_hides_its_version(api: Client) -> None:
    assert {api.get(path).headers["Server"] for path in ("/ready", "/metrics")} == {"nginx"}


@pytest.mark.req("S10", "A8")
def test_forged_client_address_does_not_reset_login_limit(api: Client, user_api: Client) -> None:
    del user_api  # its login counts towards the limit
    wrong_login = {"email": "unknown@example.com", "password": "not the password"}
    headers = ("X-Forwarded-For", "X-Real-IP", "Forwarded")

    statuses = [
        api.post(
            "/api/v1/auth/login",
            wrong_login,
            {name: f"for=198.51.100.{n}"[4 * (name != "Forwarded") :] for name in headers},
        ).status
        for n in range(6)
    ]

    assert statuses[0] == 401
    assert statuses[-1] == 429


@pytest.mark.fault("F7")
@pytest.mark.req("S10", "A8")
def test_clients_behind_another_proxy_count_separately(stack: Stack, api: Client) -> None:
    private_networks = "10.0.0.0/8, 172.16.0.0/12,192.168.0.0/16"
    up = ("up", "--detach", "--wait", "--no-deps", "nginx")
    addresses = ("203.0.113.7", "203.0.113.7", "203.0.113.8")

    stack.compose(*up, REAL_IP_FROM=private_networks)
    try:
        behind_proxy = [remaining_reads(api, f"192.0.2.66, {address}") for address in addresses]
    finally:
        stack.compose(*up)
    direct = [remaining_reads(api, address) for address in addresses]

    assert behind_proxy == [199, 198, 199]
    assert direct == [direct[0], direct[0] - 1, direct[0] - 2]


def remaining_reads(api: Client, forwarded_for: str) -> int:
    return int(api.get("/api/v1/users/me", {"X-Forwarded-For": forwarded_for}).headers["RateLimit-Remaining"])


@pytest.mark.fault("F38")
@pytest.mark.req("S10")
def test_only_the_domain_and_this_machine_are_trusted_hosts(api: Client) -> None:
    hosts = ("api.example.com", "127.0.0.1", "localhost", "evil.example")

    statuses = [api.get("/api/v1/users/me", {"Host": host}).status for host in hosts]

    assert statuses == [401, 401, 401, 400]
    assert "Location" not in api.get("//api//v1", {"Host": "127.0.0.1"}).headers


@pytest.mark.req("S12", "R3")
def test_proxy_logs_json_without_query_string(stack: Stack, api: Client) -> None:
    api.get("/api/v1/locations/active?bbox=1,2,3,4", {"X-Request-ID": "logged-by-nginx", "User-Agent": 'a"b'})

    lines = docker("logs", "--tail", "50", stack.containers("nginx")[0]).splitlines()
    (line,) = (json.loads(line) for line in lines if "logged-by-nginx" in line)
    assert line["path"] == "/api/v1/locations/active"
    assert line["status"] == 401
    assert line["agent"] == 'a"b'


@pytest.mark.req("S11", "R3")
def test_proxy_returns_502_without_replicas_and_recovers(stack: Stack, api: Client) -> None:
    stack.compose("stop", "--timeout", "1", "web")
    try:
        # For a second the proxy still has the addresses of the stopped replicas and returns 504.
        wait_until(lambda: api.get("/ready").status == 502, 10, "the proxy did not return 502")
        response = api.get("/ready")
    finally:
        stack.compose("start", "web", seconds=300)
        wait_until(lambda: api.get("/ready").status == 200, 60, "the service did not become ready")
        containers = [container for service in stack.services() for container in stack.containers(service)]
        wait_until(
            lambda: {health(container) for container in containers} == {"healthy"},
            120,
            "not every container became healthy",
        )

    assert_problem(response, 502)
    assert response.headers["Retry-After"] == "5"
