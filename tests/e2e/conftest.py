"""Fixtures of the container tests: the Docker engine and one running stack."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from conftest import BakeFactory

from e2e.client import Client
from e2e.engine import RESULTS, DockerError, docker
from e2e.stack import Stack

ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery staple"}
SLOWEST_MODULE = "test_readme_commands"  # takes longer than all others together


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest module last."""
    items.sort(key=lambda item: item.path.stem == SLOWEST_MODULE)


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Fail every test if no Docker engine responds; a skip would hide that nothing ran.

    With MARIADB_URL, the tests of MariaDB need none: make e2e E2E=tests/e2e/test_mariadb.py MARIADB_URL=mysql://…
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    if os.environ.get("MARIADB_URL"):
        return
    try:
        docker("version", seconds=30)
        docker("compose", "version", seconds=30)
    except (DockerError, OSError, subprocess.TimeoutExpired) as error:
        pytest.fail(f"make e2e needs a Docker engine with compose, and none responds: {error}", pytrace=False)


@pytest.fixture(scope="session")
def built_stack(engine: None, bake_service: BakeFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A fresh bake with the default answers; the image is built, no container is started."""
    del engine
    folder = tmp_path_factory.mktemp("e2e") / "my-flask-service"
    shutil.copytree(bake_service(), folder)
    stack = Stack(folder)
    try:
        stack.build()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="session")
def stack(built_stack: Stack) -> Stack:
    """The whole stack; all containers are healthy."""
    built_stack.up()
    return built_stack


@pytest.fixture(scope="session")
def api(stack: Stack) -> Client:
    """A client without a token, through the proxy."""
    return Client(stack.port)


@pytest.fixture(scope="session")
def user_api(api: Client) -> Client:
    """A client with a user's token. One login for all tests, because the login limit is 5 per minute."""
    assert api.post("/api/v1/auth/register", ACCOUNT).status == 201
    login = api.post("/api/v1/auth/login", ACCOUNT)
    assert login.status == 200, login.text
    return api.with_token(login.json()["access_token"])
