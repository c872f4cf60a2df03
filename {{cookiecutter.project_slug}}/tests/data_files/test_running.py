"""Files and their tests with real web processes and workers, some of which are killed or frozen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.data_files.factory import FILES, TESTS
from tests.running.accounts import log_in
from tests.running.conftest import WORKER, StartWeb, StartWorker, Web
from tests.servers import RedisServer, RunningService, S3Server, start_s3, wait_until

pytestmark = pytest.mark.running

POLLING = {"RATELIMIT_READ": "100000/hour", "TEST_RUN_STALE_SECONDS": "3"}
LARGE = b"id,note\n" + b"1,%s\n" % (b"x" * 600) * 20_000  # more than two parts of an S3 multipart upload

Headers = Mapping[str, str]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with start_s3() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def storage_settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings of the storage that all processes of a test share."""
    if request.param == "folder":
        return {"STORAGE_URL": tmp_path.as_uri(), **POLLING}
    server: S3Server = request.getfixturevalue("s3")
    return {**server.environment, "STORAGE_URL": f"s3://files/{tmp_path.name}", **POLLING}


@pytest.fixture
def folder_settings(tmp_path: Path) -> dict[str, str]:
    return {"STORAGE_URL": tmp_path.as_uri(), **POLLING}


def upload(web: Web, headers: Headers, content: bytes, name: str = "people.csv") -> requests.Response:
    return requests.post(web.url + FILES, files={"file": (name, content)}, headers=headers, timeout=60)


def start_test(web: Web, headers: Headers, file: requests.Response) -> str:
    """Start a test of an uploaded file, and return its location."""
    started = web.post(f"{file.headers['Location']}/tests", {}, headers=headers)
    assert started.status_code == 202
    return started.headers["Location"]


def wait_until_finished(web: Web, headers: Headers, test: str, timeout: float = 240) -> dict[str, Any]:
    """Poll a test until it has passed or failed, and return it."""
    body: dict[str, Any] = {}

    def is_finished() -> bool:
        body.update(web.get(test, headers=headers).json())
        return body["status"] in ("passed", "failed")

    assert wait_until(is_finished, timeout), body
    return body


@pytest.mark.req("A4", "D7", "W1")
def test_file_is_uploaded_tested_downloaded_and_deleted(
    start_web: StartWeb, start_worker: StartWorker, storage_settings: dict[str, str]
) -> None:
    worker = start_worker(WORKER, **storage_settings)
    web = start_web(**storage_settings)
    headers = log_in(web)

    file = upload(web, headers, LARGE)
    test = wait_until_finished(web, headers, start_test(web, headers, file))
    content = f"{file.headers['Location']}/content"
    whole = web.get(content, headers=headers)
    part = web.get(content, headers={**headers, "Range": "bytes=6000000-6000011"})
    deleted = requests.delete(web.url + file.headers["Location"], headers=headers, timeout=60)

    assert file.json()["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert (test["status"], test["attempts"]) == ("passed", 1)
    assert test["report"]["rows"] == 20_000
    assert whole.content == LARGE
    assert (part.status_code, part.content) == (206, LARGE[6_000_000:6_000_012])
    assert (deleted.status_code, web.get(content, headers=headers).status_code) == (204, 404)
    assert web.get(TESTS, headers=headers).json()["items"][0]["data_file_id"] is None
    assert worker.stop() == 0


def peak_memory(web: Web) -> int:
    """Return the highest peak memory of the web processes, in bytes."""
    matches = (
        re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()) for pid in web.process.children()
    )
    return max(int(match[1]) * 1024 for match in matches if match)


@pytest.mark.req("A4", "S10", "S11")
def test_chunked_upload_obeys_size_limit_in_bounded_memory(
    start_web: StartWeb, storage_settings: dict[str, str]
) -> None:
    web = start_web(**storage_settings, UPLOAD_MAX_BYTES="30000000")
    headers = {**log_in(web), "Content-Type": "multipart/form-data; boundary=edge"}

    def form(blocks: int) -> Iterator[bytes]:
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        yield from (b"1,2,3,4\n" * 125_000 for _ in range(blocks))
        yield b"\r\n--edge--\r\n"

    upload(web, log_in(web), b"a\n1\n")
    before = peak_memory(web)
    largest, too_large = (
        requests.post(web.url + FILES, data=form(blocks), headers=headers, timeout=60) for blocks in (30, 31)
    )

    assert (largest.status_code, largest.json()["size"]) == (201, 30_000_000)
    assert too_large.status_code == 413
    assert too_large.headers["Content-Type"] == "application/problem+json"
    assert peak_memory(web) - before < 30_000_000


@pytest.mark.req("A4", "S10")
def test_endless_body_is_rejected_at_the_limit(start_web: StartWeb, folder_settings: dict[str, str]) -> None:
    web = start_web(**folder_settings, UPLOAD_MAX_BYTES="5000000")
    headers = {**log_in(web), "Content-Type": "multipart/form-data; boundary=edge"}
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        while sent < 300:
            sent += 1
            yield b"1,2,3,4\n" * 125_000

    with suppress(requests.ConnectionError):  # the service closes the connection while the client still sends
        requests.post(web.url + FILES, data=endless(), headers=headers, timeout=60)

    assert sent < 100
    assert web.get("/health").status_code == 200


ROWS = 300_000
SLOW = b"a,b,c,d,e,f,g,h\n" + b"1,2.5,true,2026-01-02,word,,2026-01-02T03:04:05Z,-7e3\n" * ROWS


@dataclass
class RunningTest:
    """A test of a large file that a worker has begun."""

    web: Web
    worker: RunningService
    headers: Headers
    location: str


@pytest.fixture
def running_test(start_web: StartWeb, start_worker: StartWorker, folder_settings: dict[str, str]) -> RunningTest:
    worker = start_worker(WORKER, **folder_settings)
    web = start_web(**folder_settings)
    headers = log_in(web)
    test = start_test(web, headers, upload(web, headers, SLOW))
    assert wait_until(lambda: web.get(test, headers=headers).json()["status"] == "running", 240), worker.output()
    return RunningTest(web, worker, headers, test)


@pytest.mark.req("A4", "W2")
def test_second_worker_finishes_the_test_of_a_killed_one(
    running_test: RunningTest, start_worker: StartWorker, folder_settings: dict[str, str], tmp_path: Path
) -> None:
    web, headers, test = running_test.web, running_test.headers, running_test.location

    running_test.worker.close()  # SIGKILL to all its processes
    abandoned = web.get(test, headers=headers).json()
    start_worker(WORKER, **folder_settings)
    start_worker(["beat", "--schedule", f"{tmp_path}/schedule"], **folder_settings)
    finished = wait_until_finished(web, headers, test)

    assert (abandoned["status"], abandoned["attempts"], abandoned["report"]) == ("running", 1, None)
    assert (finished["status"], finished["report"]["rows"]) == ("passed", ROWS)
    assert finished["attempts"] >= 2  # more if the machine is so slow that a live worker seems dead
    assert [item["id"] for item in web.get(TESTS, headers=headers).json()["items"]] == [finished["id"]]


def has_ended(worker: RunningService, task: str) -> bool:
    """Whether a run of this task has ended in a worker."""
    return any(line.get("message") == "task ends" and line["task"] == task for line in worker.lines())


@pytest.mark.req("A4", "W2")
def test_frozen_worker_cannot_change_the_result(
    running_test: RunningTest, start_worker: StartWorker, folder_settings: dict[str, str], tmp_path: Path
) -> None:
    web, headers, test = running_test.web, running_test.headers, running_test.location
    frozen = running_test.worker

    frozen._child.pause()
    start_worker(WORKER, **folder_settings)
    start_worker(["beat", "--schedule", f"{tmp_path}/schedule"], **folder_settings)
    finished = wait_until_finished(web, headers, test)
    frozen._child.resume()
    # It lost its lease, or the connection if it was frozen during a statement: its task ends in both cases.
    assert wait_until(lambda: has_ended(frozen, "data_files.run_test"), 240), frozen.output()

    assert finished["status"] == "passed"
    assert finished["attempts"] >= 2
    assert web.get(test, headers=headers).json() == finished


@pytest.mark.req("A4", "W2")
def test_unsent_test_is_sent_after_queue_outage(
    start_web: StartWeb, start_worker: StartWorker, redis: RedisServer, folder_settings: dict[str, str], tmp_path: Path
) -> None:
    web = start_web(**folder_settings)
    headers = log_in(web)
    file = upload(web, headers, b"a\n1\n")

    redis.kill()
    test = start_test(web, headers, file)
    redis.restart()
    start_worker(WORKER, **folder_settings)
    start_worker(["beat", "--schedule", f"{tmp_path}/schedule"], **folder_settings)

    assert wait_until_finished(web, headers, test)["status"] == "passed"
