"""A fuzzer goes by the specification, in every role, and finds nothing that is answered otherwise.

How it goes about it stands in `schemathesis.toml`, and what it cannot know in `hooks.py` and `callers.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.planted import FAULTS
from tests.environments import ROOT, production_environment
from tests.running.conftest import StartWeb, Web
from tests.servers import RedisServer, RunningService

pytestmark = pytest.mark.running

CONFIGURATION = ROOT / "tests" / "contract" / "schemathesis.toml"
SECONDS = 600  # two cores with nothing else to do need 30

Fuzz = Callable[..., tuple[int, str]]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """What the service is told beside its servers."""
    return {"RATELIMIT_ENABLED": "false", "LOG_LEVEL": "ERROR", "STORAGE_URL": (tmp_path / "storage").as_uri()}


@pytest.fixture
def fuzz(migrated_database: str, redis: RedisServer, settings: dict[str, str], tmp_path: Path) -> Fuzz:
    """Runs the fuzzer in a role to its end; returns its exit status and what it said."""
    environment = production_environment(migrated_database, redis.url, **settings, PYTHONPATH=str(ROOT))

    def run(web: Web, role: str, *options: str) -> tuple[int, str]:
        command = ["st", "--config-file", str(CONFIGURATION), "run", f"{web.url}/api/v1/openapi.json", "--no-color"]
        with RunningService([*command, *options], {**environment, "FUZZ_ROLE": role}, folder=tmp_path) as fuzzer:
            return fuzzer.wait(SECONDS), fuzzer.output()

    return run


@pytest.mark.req("A6", "A7", "S11")
@pytest.mark.parametrize("role", ["", "user", "admin"], ids=["nobody", "user", "admin"])
def test_every_answer_is_one_that_the_specification_promises(
    start_web: StartWeb, fuzz: Fuzz, settings: dict[str, str], role: str
) -> None:
    status, said = fuzz(start_web(**settings), role)

    assert status == 0, said
    assert "generated" in said
    assert (role == "admin") != ("returned only 401/403" in said), said  # nothing is closed to admins


@pytest.mark.req("A7")
def test_the_fuzzer_finds_faults_of_every_kind(start_web: StartWeb, fuzz: Fuzz, settings: dict[str, str]) -> None:
    web = start_web(["gunicorn", "--config", "gunicorn.conf.py", "tests.contract.planted:make()"], **settings)

    status, said = fuzz(web, "", "--include-path-regex", "/planted/")

    sections = re.split(r"_+ (?:GET|POST) /api/v1/planted/([a-z-]+) _+\n", said)[1:]
    found = {name.replace("-", "_"): text for name, text in zip(sections[::2], sections[1::2], strict=True)}
    assert {name: code for name, code in FAULTS.items() if code not in found.get(name, "")} == {}, said
    assert status == 1
