"""Writers that die, servers that are gone, and many at a time."""

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

from app.storage import Storage, StorageUnavailable
from tests.data_files.factory import folder_storage, make_storage, unreachable_storage
from tests.environments import ROOT
from tests.servers import RunningService, S3Server, start_s3, wait_until
from tests.storage.content import LARGE, read

pytestmark = [pytest.mark.running, pytest.mark.req("D7")]


WRITER = """
import hashlib, os, random, sys
from tests.data_files.factory import make_storage
storage = make_storage(os.environ.pop("STORAGE_URL"), **{k: v for k, v in os.environ.items() if k.startswith("S3_")})
for number in range(12):
    content = os.urandom(random.choice([10, 100_000, 6_000_000]))
    storage.put("all/" + hashlib.sha256(content).hexdigest(), __import__("io").BytesIO(content))
    storage.put("same/key", bytes([int(sys.argv[1])]) * 6_000_000)
print("done", flush=True)
"""


def start(program: str, place: Mapping[str, str], *arguments: str) -> RunningService:
    return RunningService([sys.executable, "-c", program, *arguments], {**place, "PYTHONPATH": str(ROOT)}, folder=ROOT)


def test_writers_in_several_processes_do_not_clash_and_no_reader_sees_half_an_object(
    storage: Storage, place: Mapping[str, str]
) -> None:
    writers = [start(WRITER, place, str(number)) for number in range(3)]
    checked: set[str] = set()

    while any(writer.exit_code is None for writer in writers) or len(checked) < 36:
        assert all(writer.exit_code in (None, 0) for writer in writers), [writer.output() for writer in writers]
        for key in set(storage.keys("all/")) - checked:
            with storage.open(key) as found:
                assert hashlib.sha256(found.read()).hexdigest() == key.removeprefix("all/")
            checked.add(key)

    same = read(storage, "same/key") or b""
    assert len(checked) == 36
    assert len(same) == 6_000_000
    assert len(set(same)) == 1
    for writer in writers:
        writer.close()


DYING = """
import os, sys, time
from tests.data_files.factory import make_storage
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


def test_a_writer_that_is_killed_half_way_leaves_nothing_to_be_seen(storage: Storage, place: Mapping[str, str]) -> None:
    with start(DYING, place) as writer:
        writer.wait_until_printed("half")
        assert writer.stop(signal.SIGKILL) == -signal.SIGKILL

    assert not storage.exists("a/object")
    assert list(storage.keys("a/")) == []
    storage.put("a/object", b"by another")
    assert read(storage, "a/object") == b"by another"


def test_what_dead_writers_left_in_a_folder_is_dropped_when_it_is_old(tmp_path: Path) -> None:
    storage = folder_storage(tmp_path)
    with start(DYING, {"STORAGE_URL": tmp_path.as_uri()}) as writer:
        writer.wait_until_printed("half")
        writer.stop(signal.SIGKILL)
    storage.put("a/other", b"content")
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]

    young = storage.drop_unfinished(timedelta(days=1))
    old = storage.drop_unfinished(timedelta(0))

    assert sorted(left) == ["object#1", "other"]
    assert (young, old) == (0, 1)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["other"]


USES: dict[str, Callable[[Storage], object]] = {
    "put": lambda storage: storage.put("a/object", b"content"),
    "put much": lambda storage: storage.put("a/object", io.BytesIO(LARGE)),
    "open": lambda storage: storage.open("a/object"),
    "exists": lambda storage: storage.exists("a/object"),
    "keys": lambda storage: list(storage.keys("a/")),
    "delete": lambda storage: storage.delete("a/object"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_server_that_is_gone_is_told_of_at_once(use: Callable[[Storage], object]) -> None:
    storage = unreachable_storage()

    started = time.monotonic()
    with pytest.raises(StorageUnavailable) as raised:
        use(storage)
    took = time.monotonic() - started

    assert raised.value.get_response().headers["Retry-After"] == "5"
    assert took < 3


def test_a_server_that_says_nothing_is_given_up_and_found_again(storage_server: S3Server) -> None:
    storage = make_storage("s3://files", **without_url(storage_server))
    storage.put("object", b"content")

    storage_server.pause()
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        storage.open("object")
    took = time.monotonic() - started
    storage_server.resume()

    assert took < 15
    assert wait_until(lambda: read(storage, "object") == b"content", 10)


@pytest.fixture
def storage_server() -> Iterator[S3Server]:
    """A server to freeze."""
    with start_s3() as server:
        yield server


def without_url(server: S3Server) -> dict[str, str]:
    return {name: value for name, value in server.environment.items() if name != "STORAGE_URL"}


@pytest.mark.parametrize("wrong", [{"STORAGE_URL": "s3://nowhere"}, {"S3_SECRET_ACCESS_KEY": "wrong"}])
def test_a_storage_that_is_set_up_wrongly_is_one_that_does_not_answer(s3: S3Server, wrong: dict[str, str]) -> None:
    settings = {**s3.environment, **wrong}
    storage = make_storage(settings.pop("STORAGE_URL"), **settings)

    for content in (b"content", io.BytesIO(LARGE)):
        with pytest.raises(StorageUnavailable):
            storage.put("object", content)


def test_a_folder_that_cannot_be_used_is_a_storage_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    storage = folder_storage(tmp_path / "file")

    for use in (USES["put"], USES["put much"], USES["exists"]):
        with pytest.raises(StorageUnavailable):
            use(storage)


FORKING = """
import os, sys
from pathlib import Path
from tests.data_files.factory import folder_storage
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


def test_a_process_that_was_forked_off_too_late_is_told_and_does_not_hang(tmp_path: Path) -> None:
    with start(FORKING, {}, str(tmp_path)) as program:
        assert program.wait(60) == 0
        assert "before this process was forked off" in program.output()
