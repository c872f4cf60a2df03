"""The request id of a response finds the log lines of the request and of its tasks."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.running.accounts import ANN, LOGIN, REGISTER
from tests.running.conftest import WORKER, StartWeb, StartWorker
from tests.servers import wait_until

pytestmark = pytest.mark.running


def find(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/find_logs.sh", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.req("O8", "S12")
def test_request_id_finds_the_request_and_its_task(
    start_web: StartWeb, start_worker: StartWorker, tmp_path: Path
) -> None:
    web_log, worker_log = tmp_path / "web.log", tmp_path / "worker.log"
    web = start_web(LOG_FILE=str(web_log))
    worker = start_worker(WORKER, LOG_FILE=str(worker_log))
    web.post(REGISTER, ANN)
    responses = [web.post(LOGIN, ANN), web.post(LOGIN, ANN, headers={"X-Request-ID": "chosen.by-the_caller"})]
    assert wait_until(lambda: worker_log.exists() and worker_log.read_text().count("task ends") >= 2, 120), (
        worker.output()
    )

    ids = [response.headers["X-Request-ID"] for response in responses]
    found = [find(id_, str(web_log), str(worker_log)) for id_ in ids]

    assert ids[1] == "chosen.by-the_caller"
    for id_, result in zip(ids, found, strict=True):
        lines = [line for line in map(json.loads, result.stdout.splitlines()) if "route" in line or "task" in line]
        assert [line["message"] for line in lines] == ["request", "task begins", "task ends"]
        assert {line["request_id"] for line in lines} == {id_}
        assert [line.get("route") or line["task"] for line in lines] == [LOGIN, *["accounts.record_login"] * 2]


@pytest.mark.fault("F19")
@pytest.mark.req("S12")
def test_four_processes_rotate_the_log_file_without_loss(start_web: StartWeb, tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    settings = {"LOG_FILE": str(log), "LOG_MAX_BYTES": "10000", "LOG_BACKUPS": "100", "GUNICORN_WORKERS": "4"}
    web = start_web(**settings)
    ids = [f"request-{number}" for number in range(800)]

    with ThreadPoolExecutor(16) as clients:
        list(clients.map(lambda id_: web.get("/health", headers={"X-Request-ID": id_}), ids))

    files = list(tmp_path.iterdir())
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    logged = Counter(line["request_id"] for line in lines if line.get("request_id", "").startswith("request-"))
    assert logged == Counter(ids)
    assert len(files) > 10
    assert web.process.stop() == 0


@pytest.mark.req("O8")
def test_request_id_is_matched_literally(tmp_path: Path) -> None:
    file = tmp_path / "web.log"
    file.write_text('{"message": "request", "request_id": "a-b"}\n{"message": "a.b", "request_id": "axb"}\n')

    assert find("a.b", str(file)).returncode == 1
    assert find("a-b", str(file)).stdout.count("\n") == 1
    for id_ in ("", ".*|x", '"', "a b", "-e x"):
        assert find(id_, str(file)).returncode == 2
