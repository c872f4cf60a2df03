"""Attacks from outside on the running service: addresses, paths and hosts."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from tests.running.accounts import LOGIN
from tests.running.conftest import StartWeb, Web
from tests.servers import wait_until

pytestmark = pytest.mark.running

WRONG = {"email": "unknown@example.org", "password": "a wrong password"}


def raw_request(web: Web, path: str, headers: Mapping[str, str], source: str = "127.0.0.1") -> str:
    """Send a request from an address of this machine, with the path as it is; return the response."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
    address = ("127.0.0.1", urlsplit(web.url).port or 0)
    with socket.create_connection(address, timeout=60, source_address=(source, 0)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def remaining(response: str) -> int:
    (line,) = [line for line in response.splitlines() if line.lower().startswith("ratelimit-remaining")]
    return int(line.rpartition(":")[2])


@pytest.mark.fault("F7")
@pytest.mark.req("A8")
def test_clients_of_an_ipv6_socket_count_separately(start_web: StartWeb) -> None:
    web, host = start_web(BIND_ADDRESS="[::]"), {"Host": "service.example"}
    path = "/api/v1/users/me"

    first = [remaining(raw_request(web, path, host)) for _ in range(2)]
    other = remaining(raw_request(web, path, host, source="127.0.0.2"))

    assert (first, other) == ([199, 198], 199)
    assert {line["address"] for line in web.process.lines() if line.get("path") == path} == {"127.0.0.1", "127.0.0.2"}


@pytest.mark.fault("F7")
@pytest.mark.req("S10")
def test_header_of_an_untrusted_proxy_is_logged(start_web: StartWeb) -> None:
    web = start_web(GUNICORN_WORKERS="1")

    for _ in range(3):
        web.get("/health", headers={"X-Forwarded-For": "203.0.113.8"})

    assert wait_until(lambda: "TRUSTED_PROXIES is 0" in web.process.output(), 60)
    assert web.process.output().count("TRUSTED_PROXIES is 0") == 1


@pytest.mark.fault("F38")
@pytest.mark.req("S10")
def test_no_redirect_leads_to_the_host_of_the_client(web: Web) -> None:
    for path in ("//api//v1", "/api//v1/users/me", "//evil.example/%2e%2e", "/health/"):
        response = raw_request(web, path, {"Host": "evil.example"})

        assert " 404 " in response.splitlines()[0]
        assert "location:" not in response.lower()


@pytest.mark.fault("F35")
@pytest.mark.req("O1", "S10")
def test_metrics_without_token_are_closed_to_a_proxy(start_web: StartWeb) -> None:
    web = start_web(METRICS_TOKEN="")

    assert web.get("/metrics", headers={"X-Real-IP": "203.0.113.8"}).status_code == 403
    assert web.get("/metrics").status_code == 403


@pytest.mark.fault("F2", "F8")
@pytest.mark.req("A8")
def test_ports_in_forwarded_addresses_give_no_further_logins(start_web: StartWeb) -> None:
    web = start_web(TRUSTED_PROXIES="1")

    statuses = [
        web.post(LOGIN, WRONG, headers={"X-Forwarded-For": f"203.0.113.8:{port}"}).status_code
        for port in range(50_001, 50_013)
    ]

    assert statuses == [401] * 5 + [429] * 7
