"""What the container tests share: an engine, or a failure that says so, and one running stack."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from conftest import Bakery

from e2e.client import Client
from e2e.engine import RECORDS, DockerError, docker
from e2e.stack import Stack

ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery staple"}
LAST = "test_readme_commands"  # takes longer than all others together


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest file last."""
    items.sort(key=lambda item: item.path.stem == LAST)


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Fail every test, rather than skip it, where no Docker engine answers."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    try:
        docker("version", seconds=30)
        docker("compose", "version", seconds=30)
    except (DockerError, OSError, subprocess.TimeoutExpired) as error:
        pytest.fail(f"make e2e needs a Docker engine with compose, and none answers here: {error}", pytrace=False)


@pytest.fixture(scope="session")
def stopped_stack(engine: None, baked: Bakery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A fresh bake with the default answers, its image built, and nothing started."""
    del engine
    folder = tmp_path_factory.mktemp("e2e") / "my-flask-service"
    shutil.copytree(baked(), folder)
    stack = Stack(folder)
    try:
        stack.build()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="session")
def stack(stopped_stack: Stack) -> Stack:
    """The whole stack, up and healthy."""
    stopped_stack.up()
    return stopped_stack


@pytest.fixture(scope="session")
def api(stack: Stack) -> Client:
    """Whoever comes through the proxy."""
    return Client(stack.port)


@pytest.fixture(scope="session")
def ada(api: Client) -> Client:
    """A user who has registered and signed in; once for all tests, since sign-ins are limited."""
    assert api.post("/api/v1/auth/register", ACCOUNT).status == 201
    signed_in = api.post("/api/v1/auth/login", ACCOUNT)
    assert signed_in.status == 200, signed_in.text
    return api.with_token(signed_in.json()["access_token"])
