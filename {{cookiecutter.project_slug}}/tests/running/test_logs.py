"""A request is found in the log by the id that its answer carries, wherever it was worked on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.accounts.factory import PASSWORD
from tests.environments import ROOT
from tests.running.conftest import StartWeb
from tests.servers import RedisServer, RunningService, wait_until

pytestmark = pytest.mark.running

ANN = {"email": "ann@example.org", "password": PASSWORD}
LOGIN, REGISTER = "/api/v1/auth/login", "/api/v1/auth/register"


def find(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/find_logs.sh", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.req("O8", "S12")
def test_a_request_and_its_task_are_found_by_the_id_in_the_answer(
    start_web: StartWeb, start_worker: Callable[..., RunningService], redis: RedisServer, tmp_path: Path
) -> None:
    of_web, of_worker = tmp_path / "web.log", tmp_path / "worker.log"
    web = start_web(redis_url=redis.url, LOG_FILE=str(of_web))
    worker = start_worker(["worker", "--loglevel", "INFO", "--concurrency", "1"], LOG_FILE=str(of_worker))
    web.post(REGISTER, ANN)
    answers = [web.post(LOGIN, ANN), web.post(LOGIN, ANN, headers={"X-Request-ID": "chosen.by-the_caller"})]
    assert wait_until(lambda: of_worker.exists() and of_worker.read_text().count("task ends") >= 2, 30), worker.output()

    ids = [answer.headers["X-Request-ID"] for answer in answers]
    found = [find(id_, str(of_web), str(of_worker)) for id_ in ids]

    assert ids[1] == "chosen.by-the_caller"
    for id_, result in zip(ids, found, strict=True):
        lines = [line for line in map(json.loads, result.stdout.splitlines()) if "route" in line or "task" in line]
        assert [line["message"] for line in lines] == ["request", "task begins", "task ends"]
        assert {line["request_id"] for line in lines} == {id_}
        assert [line.get("route") or line["task"] for line in lines] == [LOGIN, *["accounts.note_login"] * 2]


@pytest.mark.req("O8")
def test_an_id_is_no_pattern_and_nothing_found_is_told(tmp_path: Path) -> None:
    file = tmp_path / "web.log"
    file.write_text('{"message": "request", "request_id": "a-b"}\n{"message": "a.b", "request_id": "axb"}\n')

    assert find("a.b", str(file)).returncode == 1
    assert find("a-b", str(file)).stdout.count("\n") == 1
    for id_ in ("", ".*|x", '"', "a b", "-e x"):
        assert find(id_, str(file)).returncode == 2
