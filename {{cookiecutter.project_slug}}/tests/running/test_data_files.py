"""Files and their tests through real web processes, a real worker, and workers that die."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.accounts.factory import PASSWORD
from tests.running.conftest import StartWeb, Web
from tests.servers import RedisServer, RunningService, S3Server, start_s3, wait_until

pytestmark = pytest.mark.running

ANN = {"email": "ann@example.org", "password": PASSWORD}
WORKER = ["worker", "--loglevel", "INFO", "--concurrency", "1"]
FILES, TESTS = "/api/v1/data-files", "/api/v1/tests"
POLLED = {"RATELIMIT_READ": "100000/hour", "TEST_RUN_STALE_SECONDS": "3"}
LARGE = b"id,note\n" + b"1,%s\n" % (b"x" * 600) * 20_000  # more than two parts of an upload to S3

StartWorker = Callable[..., RunningService]
Headers = Mapping[str, str]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with start_s3() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Where all processes of a test keep files."""
    if request.param == "folder":
        return {"STORAGE_URL": tmp_path.as_uri(), **POLLED}
    server: S3Server = request.getfixturevalue("s3")
    return {**server.environment, "STORAGE_URL": f"s3://files/{tmp_path.name}", **POLLED}


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, str]:
    return {"STORAGE_URL": tmp_path.as_uri(), **POLLED}


def sign_in(web: Web) -> Headers:
    web.post("/api/v1/auth/register", ANN)
    return {"Authorization": f"Bearer {web.post('/api/v1/auth/login', ANN).json()['access_token']}"}


def upload(web: Web, headers: Headers, content: bytes, name: str = "people.csv") -> requests.Response:
    return requests.post(web.url + FILES, files={"file": (name, content)}, headers=headers, timeout=60)


def begin_test(web: Web, headers: Headers, file: requests.Response) -> str:
    """Where to ask for the test of a file that was uploaded."""
    begun = web.post(f"{file.headers['Location']}/tests", {}, headers=headers)
    assert begun.status_code == 202
    return begun.headers["Location"]


def ended(web: Web, headers: Headers, test: str, timeout: float = 240) -> dict[str, Any]:
    """A test, once it has passed or failed."""
    found: dict[str, Any] = {}

    def ask() -> bool:
        found.update(web.get(test, headers=headers).json())
        return found["status"] in ("passed", "failed")

    assert wait_until(ask, timeout), found
    return found


@pytest.mark.req("A4", "D7", "W1")
def test_a_file_is_uploaded_tested_by_a_worker_read_back_and_deleted(
    start_web: StartWeb, start_worker: StartWorker, place: dict[str, str]
) -> None:
    worker = start_worker(WORKER, **place)
    web = start_web(**place)
    headers = sign_in(web)

    file = upload(web, headers, LARGE)
    test = ended(web, headers, begin_test(web, headers, file))
    content = f"{file.headers['Location']}/content"
    whole = web.get(content, headers=headers)
    part = web.get(content, headers={**headers, "Range": "bytes=6000000-6000011"})
    deleted = requests.delete(web.url + file.headers["Location"], headers=headers, timeout=10)

    assert file.json()["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert (test["status"], test["attempts"]) == ("passed", 1)
    assert test["report"]["rows"] == 20_000
    assert whole.content == LARGE
    assert (part.status_code, part.content) == (206, LARGE[6_000_000:6_000_012])
    assert (deleted.status_code, web.get(content, headers=headers).status_code) == (204, 404)
    assert web.get(TESTS, headers=headers).json()["items"][0]["data_file_id"] is None
    assert worker.stop() == 0


def highest_memory(web: Web) -> int:
    """Bytes of memory that the web process that had the most has had at most."""
    found = (re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()) for pid in web.process.children())
    return max(int(match[1]) * 1024 for match in found if match)


@pytest.mark.req("A4", "S10", "S11")
def test_bodies_without_a_length_are_read_up_to_the_limit_in_little_memory(
    start_web: StartWeb, place: dict[str, str]
) -> None:
    web = start_web(**place, UPLOAD_MAX_BYTES="30000000")
    headers = {**sign_in(web), "Content-Type": "multipart/form-data; boundary=edge"}

    def form(pieces: int) -> Iterator[bytes]:
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        yield from (b"1,2,3,4\n" * 125_000 for _ in range(pieces))
        yield b"\r\n--edge--\r\n"

    upload(web, sign_in(web), b"a\n1\n")
    before = highest_memory(web)
    fits, too_large = (
        requests.post(web.url + FILES, data=form(pieces), headers=headers, timeout=60) for pieces in (30, 31)
    )

    assert (fits.status_code, fits.json()["size"]) == (201, 30_000_000)
    assert too_large.status_code == 413
    assert too_large.headers["Content-Type"] == "application/problem+json"
    assert highest_memory(web) - before < 30_000_000


@pytest.mark.req("A4", "S10")
def test_a_body_without_an_end_is_given_up_at_the_limit(start_web: StartWeb, folder: dict[str, str]) -> None:
    web = start_web(**folder, UPLOAD_MAX_BYTES="5000000")
    headers = {**sign_in(web), "Content-Type": "multipart/form-data; boundary=edge"}
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        while sent < 300:
            sent += 1
            yield b"1,2,3,4\n" * 125_000

    with suppress(requests.ConnectionError):  # the service leaves while the caller still speaks
        requests.post(web.url + FILES, data=endless(), headers=headers, timeout=60)

    assert sent < 100
    assert web.get("/health").status_code == 200


ROWS = 300_000
SLOW = b"a,b,c,d,e,f,g,h\n" + b"1,2.5,true,2026-01-02,word,,2026-01-02T03:04:05Z,-7e3\n" * ROWS


@pytest.mark.req("A4", "W2")
def test_a_worker_that_is_killed_half_way_is_followed_by_another_and_there_is_one_result(
    start_web: StartWeb, start_worker: StartWorker, folder: dict[str, str], tmp_path: Path
) -> None:
    first = start_worker(WORKER, **folder)
    web = start_web(**folder)
    headers = sign_in(web)
    test = begin_test(web, headers, upload(web, headers, SLOW))

    assert wait_until(lambda: web.get(test, headers=headers).json()["status"] == "running", 30), first.output()
    first.close()  # with SIGKILL, and all processes of it at once
    left = web.get(test, headers=headers).json()
    start_worker(WORKER, **folder)
    start_worker(["beat", "--schedule", f"{tmp_path}/schedule"], **folder)
    done = ended(web, headers, test)

    assert (left["status"], left["attempts"], left["report"]) == ("running", 1, None)
    assert (done["status"], done["report"]["rows"]) == ("passed", ROWS)
    assert done["attempts"] >= 2  # more, where the machine is so busy that a living worker seems dead
    assert [item["id"] for item in web.get(TESTS, headers=headers).json()["items"]] == [done["id"]]


@pytest.mark.req("A4", "W2")
def test_a_worker_that_was_frozen_comes_too_late_to_change_the_result(
    start_web: StartWeb, start_worker: StartWorker, folder: dict[str, str], tmp_path: Path
) -> None:
    frozen = start_worker(WORKER, **folder)
    web = start_web(**folder)
    headers = sign_in(web)
    test = begin_test(web, headers, upload(web, headers, SLOW))

    assert wait_until(lambda: web.get(test, headers=headers).json()["status"] == "running", 30), frozen.output()
    frozen._child.pause()
    start_worker(WORKER, **folder)
    start_worker(["beat", "--schedule", f"{tmp_path}/schedule"], **folder)
    done = ended(web, headers, test)
    frozen._child.resume()
    frozen.wait_until_printed("was given to another worker", 30)

    assert done["status"] == "passed"
    assert done["attempts"] >= 2
    assert web.get(test, headers=headers).json() == done


@pytest.mark.req("A4", "W2")
def test_a_test_that_could_not_be_sent_is_sent_when_the_queue_is_back(
    start_web: StartWeb, start_worker: StartWorker, redis: RedisServer, folder: dict[str, str], tmp_path: Path
) -> None:
    web = start_web(**folder)
    headers = sign_in(web)
    file = upload(web, headers, b"a\n1\n")

    redis.kill()
    test = begin_test(web, headers, file)
    redis.restart()
    start_worker(WORKER, **folder)
    start_worker(["beat", "--schedule", f"{tmp_path}/schedule"], **folder)

    assert ended(web, headers, test)["status"] == "passed"
