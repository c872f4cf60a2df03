"""Uploads under overload: more than the bound, and more than the disk holds."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.data_files.factory import CSV, FILES
from tests.running.accounts import ME, log_in
from tests.running.conftest import GUNICORN, StartWeb, Web
from tests.running.raw_requests import begin_request
from tests.servers import wait_until

pytestmark = [pytest.mark.running, pytest.mark.req("S13")]


def begin_upload(web: Web, headers: dict[str, str], size: int) -> socket.socket:
    """Send a part of an upload that is too large to wait in the kernel."""
    fields = [f"{name}: {value}" for name, value in headers.items()]
    form = "Content-Type: multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    return begin_request(web, FILES, *fields, form, f"Content-Length: {size}", body=part + CSV)


def upload(web: Web, headers: dict[str, str], content: bytes = CSV) -> requests.Response:
    return requests.post(web.url + FILES, files={"file": ("a.csv", content)}, headers=headers, timeout=120)


@pytest.mark.fault("F5")
def test_uploads_beyond_the_bound_are_refused_before_they_are_read(start_web: StartWeb, tmp_path: Path) -> None:
    web = start_web(GUNICORN_WORKERS="1", CONCURRENCY_UPLOADS="1", STORAGE_URL=tmp_path.as_uri())
    headers = log_in(web)

    with begin_upload(web, headers, 40_000_000):
        assert wait_until(lambda: upload(web, headers).status_code == 503, 120)
        refused, other = upload(web, headers), web.get(ME, headers=headers)

    assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(refused.headers["Retry-After"]) >= 1
    assert other.status_code == 200
    assert wait_until(lambda: upload(web, headers).status_code == 201, 120)


@pytest.mark.parametrize(("full", "kilobytes", "size"), [("spool", 2048, 4_000_000), ("storage", 300, 450_000)])
@pytest.mark.req("D7")
@pytest.mark.fault("F5")
def test_uploads_that_fill_the_disk_kill_no_process(
    start_web: StartWeb, tmp_path: Path, full: str, kilobytes: int, size: int
) -> None:
    # A limit on the size of files acts like a full disk, and needs no root. Metric and log files are smaller. The
    # smaller uploads are received in memory.
    command = ["bash", "-c", f"ulimit -f {kilobytes}; exec {' '.join(GUNICORN)}"]
    storage = tmp_path / "storage"
    web = start_web(command, STORAGE_URL=storage.as_uri(), RATELIMIT_CREATE="1000/hour")
    headers = log_in(web)
    workers = sorted(web.process.children())

    with ThreadPoolExecutor(4) as pool:
        statuses = set(pool.map(lambda _: upload(web, headers, b"a,b\n" * (size // 4)).status_code, range(12)))

    assert statuses == {503}
    assert [web.get(path, headers=headers).status_code for path in ("/health", "/ready", ME)] == [200, 200, 200]
    assert sorted(web.process.children()) == workers
    assert {path.name for path in storage.rglob("*") if path.is_file()} <= {"database-id"}
    assert upload(web, headers).status_code == 201
