"""Clients that speak HTTP badly, early or slowly: they occupy no thread, and nothing that they sent is logged."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import pytest
import requests

from tests.running.accounts import LOGIN, ME, log_in
from tests.running.conftest import StartWeb, Web
from tests.running.raw_requests import begin_request, open_connection, read_response
from tests.servers import RedisServer, wait_until

pytestmark = [pytest.mark.running, pytest.mark.req("S13")]

ONE_PROCESS = {"GUNICORN_WORKERS": "1", "GUNICORN_THREADS": "2"}
JSON = "Content-Type: application/json"
LONG = "{secret}" + "x" * 5000
CLIENTS = 24  # many more than threads


def send(web: Web, request: bytes) -> str:
    """Send bytes, end the sending side, and return everything that the service answers."""
    with open_connection(web) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return read_response(client)


def statuses(web: Web, headers: dict[str, str]) -> list[int]:
    return [web.get(path, headers=headers).status_code for path in ("/health", "/ready", ME)]


def test_request_behind_a_request_is_not_read(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    headers = log_in(web)
    first = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

    with ExitStack() as clients:
        for _ in range(CLIENTS):
            client = clients.enter_context(open_connection(web))
            client.sendall(first + b"POST /api/v1/auth/refresh HTTP/1.1\r\nHost: localhost\r\n")
        found = statuses(web, headers)
    response = send(web, first + first)

    assert found == [200, 200, 200]
    assert response.count("HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize("size", [9_000, 60_000])
def test_long_headers_that_do_not_end_occupy_no_thread(start_web: StartWeb, size: int) -> None:
    web = start_web(**ONE_PROCESS)
    headers = log_in(web)

    with ExitStack() as clients:
        for _ in range(CLIENTS):
            client = clients.enter_context(open_connection(web))
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ".ljust(size, b"x"))
        found = statuses(web, headers)

    assert found == [200, 200, 200]


def test_headers_beyond_the_limit_are_rejected(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)

    response = send(web, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ".ljust(70_000, b"x"))

    assert response.startswith("HTTP/1.1 431 ")
    assert "application/problem+json" in response


def test_client_that_waits_to_be_asked_for_its_body_occupies_no_thread(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    headers = log_in(web)
    fields = (JSON, "Expect: 100-continue", "Connection: close", "Content-Length: 20")

    with ExitStack() as clients:
        for _ in range(CLIENTS):
            clients.enter_context(begin_request(web, LOGIN, *fields))
        found = statuses(web, headers)
    with begin_request(web, LOGIN, *fields) as client:
        asked = client.recv(100)
        client.sendall(b'{"email": "a@b.org"}')
        response = read_response(client)

    assert found == [200, 200, 200]
    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert "HTTP/1.1 422 " in response


def test_health_responds_while_many_clients_wait_for_ready(start_web: StartWeb, own_redis: RedisServer) -> None:
    web = start_web(**ONE_PROCESS, redis_url=own_redis.url, REDIS_TIMEOUT_SECONDS="5", GUNICORN_QUEUE_SECONDS="60")
    own_redis.pause()

    with ExitStack() as clients:
        for _ in range(40):
            client = clients.enter_context(open_connection(web))
            client.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        health = web.get("/health")
    own_redis.resume()

    assert health.status_code == 200


@pytest.mark.parametrize(
    ("request_line", "field", "status"),
    [
        ("GET /health?secret={secret}\u00fc HTTP/1.1", "", 400),
        ("GET /health?{secret} HTTP/9.9", "", 400),
        ("G@T /{secret} HTTP/1.1", "", 400),
        (f"GET /health?{LONG} HTTP/1.1", "", 414),
        ("GET /health HTTP/1.1", "X-A: {secret}\x01", 400),
        ("GET /health HTTP/1.1", "X A: {secret}", 400),
        ("GET /health HTTP/1.1", "X: {secret}\r\n" * 150 + "Y: z", 431),
        ("POST /health HTTP/1.1", "Expect: {secret}", 417),
        ("POST /health HTTP/1.1", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\nX: {secret}", 400),
    ],
)
@pytest.mark.req("S10", "S12")
def test_malformed_request_is_a_problem_and_its_text_is_not_logged(
    start_web: StartWeb, secret: str, request_line: str, field: str, status: int
) -> None:
    web = start_web(**ONE_PROCESS)
    fields = f"{field}\r\n".format(secret=secret) if field else ""
    request = f"{request_line.format(secret=secret)}\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n"

    response = send(web, request.encode())
    web.process.stop()

    assert response.startswith(f"HTTP/1.1 {status} ")
    assert "Content-Type: application/problem+json" in response
    assert secret not in response
    assert secret not in web.process.output()


@pytest.mark.req("S12")
def test_log_line_has_no_context_of_the_request_before(start_web: StartWeb) -> None:
    web = start_web(GUNICORN_WORKERS="1", GUNICORN_THREADS="1")
    web.get(ME, headers=log_in(web))

    send(web, b"G@T / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    found: list[dict[str, object]] = []

    def logged() -> bool:
        found[:] = [line for line in web.process.lines() if "malformed" in str(line["message"])]
        return bool(found)

    assert wait_until(logged, 60)
    assert not {"user_id", "request_id"} & found[0].keys()


# Parts of a body; a body of several parts is sent in chunks.
BODIES = {"small": [b"x" * 100], "larger than a packet": [b"x" * 10_000], "large": [b"x" * 900_000],
          "chunked": [b"x" * 150_000] * 2}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_next_request_succeeds_after_a_rejected_body(start_web: StartWeb, name: str) -> None:
    web = start_web(**ONE_PROCESS)

    parts = BODIES[name]
    found = set()
    with requests.Session() as session:
        for _ in range(30):
            data = parts[0] if len(parts) == 1 else iter(parts)
            found.add(session.post(f"{web.url}/nothing", data=data, timeout=60).status_code)

    assert found == {404}


def test_body_of_a_get_that_does_not_arrive_occupies_no_thread(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    headers = log_in(web)

    with ExitStack() as clients:
        for _ in range(CLIENTS):
            clients.enter_context(begin_request(web, ME, "Content-Length: 9", method="GET"))
        found = statuses(web, headers)

    assert found == [200, 200, 200]


def test_malformed_chunk_that_is_not_read_has_one_response(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    headers = b"Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

    response = send(web, b"PATCH /api/v1/users/me HTTP/1.1\r\n" + headers + b"zz\r\n")

    assert response.startswith("HTTP/1.1 401 ")
    assert response.count("HTTP/1.1 ") == 1
    assert "connection: close" in response.lower()


def test_body_that_ends_early_is_rejected(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS)
    token = log_in(web)["Authorization"]
    body = '{"display_name": "Ann"}'
    headers = (
        f"Host: localhost\r\nAuthorization: {token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )

    response = send(web, f"PATCH /api/v1/users/me HTTP/1.1\r\n{headers}{body}".encode())

    assert response.startswith("HTTP/1.1 400 ")
    assert "The body is incomplete" in response


def test_headers_that_end_early_end_the_connection(start_web: StartWeb) -> None:
    web = start_web(**ONE_PROCESS, REQUEST_RECEIVE_SECONDS="600")

    with suppress(ConnectionResetError):  # or the end of the stream
        assert send(web, b"GET /health HTTP/1.1\r\nHost: loc") == ""
