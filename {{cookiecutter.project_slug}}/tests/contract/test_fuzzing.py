"""A fuzzer compares the running service with its specification, in every role.

`schemathesis.toml` configures it; `hooks.py` and `fuzz_auth.py` add callers and existing objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.fault_app import FAULTS
from tests.environments import ROOT, production_environment
from tests.running.conftest import GUNICORN, StartWeb, Web
from tests.servers import RedisServer, RunningService

pytestmark = pytest.mark.running

CONFIGURATION = ROOT / "tests" / "contract" / "schemathesis.toml"
TIMEOUT_SECONDS = 600  # two idle cores need 30

Fuzz = Callable[..., tuple[int, str]]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Settings of the service, without the URLs of its servers."""
    return {"RATELIMIT_ENABLED": "false", "LOG_LEVEL": "ERROR", "STORAGE_URL": (tmp_path / "storage").as_uri()}


@pytest.fixture
def fuzz(migrated_database: str, redis: RedisServer, settings: dict[str, str], tmp_path: Path) -> Fuzz:
    """Run the fuzzer in a role; returns its exit status and its output."""
    environment = production_environment(migrated_database, redis.url, **settings, PYTHONPATH=str(ROOT))

    def run(web: Web, role: str, *options: str) -> tuple[int, str]:
        command = ["st", "--config-file", str(CONFIGURATION), "run", f"{web.url}/api/v1/openapi.json", "--no-color"]
        with RunningService([*command, *options], {**environment, "FUZZ_ROLE": role}, folder=tmp_path) as fuzzer:
            return fuzzer.wait(TIMEOUT_SECONDS), fuzzer.output()

    return run


@pytest.mark.req("A6", "A7", "S11")
@pytest.mark.parametrize("role", ["", "user", "admin"], ids=["anonymous", "user", "admin"])
def test_every_response_matches_the_specification(
    start_web: StartWeb, fuzz: Fuzz, settings: dict[str, str], role: str
) -> None:
    status, output = fuzz(start_web(**settings), role)

    assert status == 0, output
    assert "generated" in output
    assert (role == "admin") != ("returned only 401/403" in output), output  # admins may call every route


@pytest.mark.req("A7")
def test_fuzzer_finds_every_fault_of_fault_app(start_web: StartWeb, fuzz: Fuzz, settings: dict[str, str]) -> None:
    web = start_web([*GUNICORN, "tests.contract.fault_app:make()"], **settings)

    status, output = fuzz(web, "", "--include-path-regex", "/faults/")

    sections = re.split(r"_+ (?:GET|POST) /api/v1/faults/([a-z-]+) _+\n", output)[1:]
    found = {name.replace("-", "_"): text for name, text in zip(sections[::2], sections[1::2], strict=True)}
    assert {name: code for name, code in FAULTS.items() if code not in found.get(name, "")} == {}, output
    assert status == 1
