"""Storage with killed writers, unavailable servers and concurrent processes."""

from __future__ import annotations

import hashlib
import io
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from app.platform.storage import Storage, StorageUnavailable
from tests.environments import ROOT
from tests.platform.storage.content import LARGE, read
from tests.platform.storage.factory import folder_storage, make_storage, unreachable_storage
from tests.servers import RunningService, S3Server, start_s3, wait_until

pytestmark = [pytest.mark.running, pytest.mark.req("D7")]


WRITER = """
import hashlib, os, random, sys
from tests.platform.storage.factory import make_storage
storage = make_storage(os.environ.pop("STORAGE_URL"), **{k: v for k, v in os.environ.items() if k.startswith("S3_")})
for number in range(12):
    content = os.urandom(random.choice([10, 100_000, 6_000_000]))
    storage.put("all/" + hashlib.sha256(content).hexdigest(), __import__("io").BytesIO(content))
    storage.put("same/key", bytes([int(sys.argv[1])]) * 6_000_000)
print("done", flush=True)
"""


def start(program: str, settings: Mapping[str, str], *arguments: str) -> RunningService:
    return RunningService(
        [sys.executable, "-c", program, *arguments], {**settings, "PYTHONPATH": str(ROOT)}, folder=ROOT
    )


def test_concurrent_writers_never_expose_partial_objects(storage: Storage, storage_settings: Mapping[str, str]) -> None:
    writers = [start(WRITER, storage_settings, str(number)) for number in range(3)]
    checked: set[str] = set()

    deadline = time.monotonic() + 600
    while (any(writer.exit_code is None for writer in writers) or len(checked) < 36) and time.monotonic() < deadline:
        assert all(writer.exit_code in (None, 0) for writer in writers), [writer.output() for writer in writers]
        for key in set(storage.list_keys("all/")) - checked:
            content = read(storage, key)
            if content is None:
                continue  # the test's S3 server lists an object shortly before it serves it
            assert hashlib.sha256(content).hexdigest() == key.removeprefix("all/")
            checked.add(key)

    same = read(storage, "same/key") or b""
    assert len(checked) == 36
    assert len(same) == 6_000_000
    assert len(set(same)) == 1
    for writer in writers:
        writer.close()


STALLED_WRITER = """
import os, sys, time
from tests.platform.storage.factory import make_storage
class Endless:
    read_so_far = 0
    def read(self, size):
        self.read_so_far += 1
        if self.read_so_far == 5:
            print("half", flush=True)
            time.sleep(60)
        return b"x" * size
storage = make_storage(os.environ.pop("STORAGE_URL"), **{k: v for k, v in os.environ.items() if k.startswith("S3_")})
storage.put("a/object", Endless())
"""


def test_killed_writer_leaves_no_object(storage: Storage, storage_settings: Mapping[str, str]) -> None:
    with start(STALLED_WRITER, storage_settings) as writer:
        writer.wait_until_printed("half")
        assert writer.stop(signal.SIGKILL) == -signal.SIGKILL

    assert not storage.exists("a/object")
    assert list(storage.list_keys("a/")) == []
    storage.put("a/object", b"by another")
    assert read(storage, "a/object") == b"by another"


def test_old_temporary_files_of_dead_writers_are_deleted(tmp_path: Path) -> None:
    storage = folder_storage(tmp_path)
    with start(STALLED_WRITER, {"STORAGE_URL": tmp_path.as_uri()}) as writer:
        writer.wait_until_printed("half")
        writer.stop(signal.SIGKILL)
    storage.put("a/other", b"content")
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]

    recent = storage.delete_unfinished(timedelta(days=1))
    old = storage.delete_unfinished(timedelta(0))

    assert sorted(files) == ["object#1", "other"]
    assert (recent, old) == (0, 1)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["other"]


OPERATIONS: dict[str, Callable[[Storage], object]] = {
    "put": lambda storage: storage.put("a/object", b"content"),
    "put large": lambda storage: storage.put("a/object", io.BytesIO(LARGE)),
    "open": lambda storage: storage.open("a/object"),
    "exists": lambda storage: storage.exists("a/object"),
    "keys": lambda storage: list(storage.list_keys("a/")),
    "delete": lambda storage: storage.delete("a/object"),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_unreachable_server_fails_fast(operation: Callable[[Storage], object]) -> None:
    storage = unreachable_storage()

    started = time.monotonic()
    with pytest.raises(StorageUnavailable) as raised:
        operation(storage)
    seconds = time.monotonic() - started

    assert raised.value.get_response().headers["Retry-After"] == "5"
    assert seconds < 30  # RETRY_TIMEOUT is 5 s


def test_frozen_server_times_out_and_recovers(storage_server: S3Server) -> None:
    storage = make_storage("s3://files", **without_url(storage_server))
    storage.put("object", b"content")

    storage_server.pause()
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        storage.open("object")
    seconds = time.monotonic() - started
    storage_server.resume()

    assert seconds < 30  # REQUEST_TIMEOUT is 10 s
    assert wait_until(lambda: read(storage, "object") == b"content", 120)


@pytest.fixture
def storage_server() -> Iterator[S3Server]:
    """A server that the test may freeze."""
    with start_s3() as server:
        yield server


def without_url(server: S3Server) -> dict[str, str]:
    return {name: value for name, value in server.environment.items() if name != "STORAGE_URL"}


@pytest.mark.parametrize("wrong", [{"STORAGE_URL": "s3://nowhere"}, {"S3_SECRET_ACCESS_KEY": "wrong"}])
def test_wrong_bucket_or_credentials_raise_unavailable(s3: S3Server, wrong: dict[str, str]) -> None:
    settings = {**s3.environment, **wrong}
    storage = make_storage(settings.pop("STORAGE_URL"), **settings)

    for content in (b"content", io.BytesIO(LARGE)):
        with pytest.raises(StorageUnavailable):
            storage.put("object", content)


def test_unusable_folder_raises_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    storage = folder_storage(tmp_path / "file")

    for operation in (OPERATIONS["put"], OPERATIONS["put large"], OPERATIONS["exists"]):
        with pytest.raises(StorageUnavailable):
            operation(storage)


FORKING = """
import os, sys
from pathlib import Path
from tests.platform.storage.factory import folder_storage
storage = folder_storage(Path(sys.argv[1]))
storage.put("object", b"content")
child = os.fork()
if not child:
    try:
        storage.exists("object")
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
"""


def test_fork_after_first_use_raises_instead_of_blocking(tmp_path: Path) -> None:
    with start(FORKING, {}, str(tmp_path)) as program:
        assert program.wait(60) == 0
        assert "used before this process was forked" in program.output()
