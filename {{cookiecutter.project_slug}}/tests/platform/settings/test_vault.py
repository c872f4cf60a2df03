"""Settings from Vault, with a local server that implements the used part of Vault's HTTP API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.environments import basic_environment
from tests.platform.settings.test_checks import KEY, load
from tests.servers import free_port

TOKEN, ROLE, ROLE_SECRET = "a-vault-token", "a-role", "a-role-secret"


class FakeVault(BaseHTTPRequestHandler):
    """KV version 2 at `secret/`, and AppRole; paths and members as in Vault's API documentation."""

    content: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        if self.headers.get("X-Vault-Token") != TOKEN:
            self.respond(403, {"errors": ["permission denied"]})
        elif self.path != "/v1/secret/data/service":
            self.respond(404, {"errors": []})
        else:
            self.respond(200, {"data": {"data": self.content, "metadata": {"version": 1}}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/auth/approle/login" and body == {"role_id": ROLE, "secret_id": ROLE_SECRET}:
            self.respond(200, {"auth": {"client_token": TOKEN}})
        else:
            self.respond(400, {"errors": ["invalid role"]})

    def respond(self, status: int, body: object) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def vault() -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeVault)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {"VAULT_ADDR": f"http://127.0.0.1:{server.server_port}", "VAULT_PATH": "secret/service"}
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _content() -> None:
    FakeVault.content = {"SECRET_KEY": KEY, "DB_POOL_SIZE": "9"}


@pytest.mark.parametrize(
    "credentials",
    [{"VAULT_TOKEN": TOKEN}, {"VAULT_TOKEN": f"{TOKEN}\n"}, {"VAULT_ROLE_ID": ROLE, "VAULT_SECRET_ID": ROLE_SECRET}],
)
@pytest.mark.req("S2")
def test_vault_overrides_environment(vault: dict[str, str], credentials: dict[str, str]) -> None:
    settings = load(basic_environment(DB_POOL_SIZE="3", DB_MAX_OVERFLOW="4", **vault, **credentials))

    assert settings.SECRET_KEY == KEY
    assert (settings.DB_POOL_SIZE, settings.DB_MAX_OVERFLOW) == (9, 4)


@pytest.mark.parametrize(
    "fault",
    [
        {"VAULT_TOKEN": "wrong"},
        {"VAULT_TOKEN": TOKEN, "VAULT_PATH": "secret/nothing"},
        {"VAULT_ROLE_ID": ROLE, "VAULT_SECRET_ID": "wrong"},
        {"VAULT_TOKEN": TOKEN, "VAULT_ADDR": f"http://127.0.0.1:{free_port()}"},
        {"VAULT_TOKEN": f"{TOKEN}\u4e2d"},
        {"VAULT_TOKEN": TOKEN, "VAULT_ADDR": f"http://a b/{TOKEN}"},
    ],
)
@pytest.mark.req("S2")
def test_failing_vault_leaves_environment_unchanged(
    vault: dict[str, str], fault: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(basic_environment(DB_POOL_SIZE="3", **{**vault, **fault}))

    assert settings.DB_POOL_SIZE == 3
    assert "cannot read settings from Vault" in caplog.text
    assert TOKEN not in caplog.text
