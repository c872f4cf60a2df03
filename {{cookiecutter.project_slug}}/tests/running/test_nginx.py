"""The shipped nginx configuration bounds what one client can occupy."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pytest
import requests

from tests.running.accounts import LOGIN, ME, log_in
from tests.running.conftest import Web
from tests.running.nginx import other_client, proxy, service
from tests.running.raw_requests import begin_request, open_connection, read_response
from tests.servers import wait_until
from tests.servers.nginx import start_nginx

__all__ = ["other_client", "proxy", "service"]

pytestmark = [pytest.mark.running, pytest.mark.req("S13", "R3"), pytest.mark.fault("F6")]

JSON = "Content-Type: application/json"
WRONG = {"email": "unknown@example.org", "password": "wrong password"}


def test_bodies_may_have_one_megabyte(proxy: Web) -> None:
    large = [
        requests.post(proxy.url + path, data=b"x" * 1_100_000, timeout=120)
        for path in (LOGIN, "/health", "/api/v1/data-files/1/tests", "/")
    ]
    allowed = requests.post(proxy.url + LOGIN, json={"email": "x" * 900_000, "password": "wrong"}, timeout=120)

    assert {response.status_code for response in large} == {413}
    assert {response.headers["Content-Type"] for response in large} == {"application/problem+json"}
    assert {response.json()["detail"] for response in large} == {"The body is larger than 1 MB."}
    assert allowed.status_code == 422


def test_held_large_bodies_are_refused_at_once(proxy: Web) -> None:
    fields = "Connection: close", "Content-Length: 50000000"
    with ExitStack() as held:
        clients = [held.enter_context(begin_request(proxy, "/health", *fields)) for _ in range(6)]
        statuses = {read_response(client)[:12] for client in clients}

    body = requests.post(proxy.url + LOGIN, json={"email": "x" * 100_000, "password": "wrong"}, timeout=120)

    assert statuses == {"HTTP/1.1 413"}
    assert body.status_code == 422


def test_slow_bodies_of_one_client_leave_threads_and_connections_to_others(
    proxy: Web, other_client: requests.Session
) -> None:
    headers = log_in(proxy)

    def succeeds(path: str) -> bool:
        return other_client.get(proxy.url + path, headers=headers, timeout=120).status_code == 200

    with ExitStack() as clients:
        for _ in range(400):
            clients.enter_context(open_connection(proxy))
        for _ in range(80):
            clients.enter_context(begin_request(proxy, ME, JSON, "Content-Length: 100000", body=b"{"))
        assert wait_until(lambda: proxy.get("/health").status_code == 429, 120)
        refused = proxy.get("/health")
        for path in ("/health", "/ready", ME):  # a busy machine may delay a request, a limit would refuse each one
            assert wait_until(partial(succeeds, path), 60), path

    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["detail"] == "Too many requests at a time. Try again shortly."
    assert wait_until(lambda: proxy.get("/health").status_code == 200, 120)


def test_sign_ins_of_one_client_have_a_rate(service: Web, other_client: requests.Session) -> None:
    rate = {"zone=sign_in_rate:10m rate=10r/s": "zone=sign_in_rate:10m rate=1r/m"}
    with start_nginx(int(service.url.rpartition(":")[2]), **rate) as server:
        proxy = Web(service.process, server.url)

        statuses = [proxy.post("/api/v1/auth/refresh", {"refresh_token": f"x{n}"}).status_code for n in range(25)]
        other = other_client.post(server.url + LOGIN, json=WRONG, timeout=120)

    assert statuses == [401] * 21 + [429] * 4  # the first one and the burst of 20
    assert other.status_code == 401
