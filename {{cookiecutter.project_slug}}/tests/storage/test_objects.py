"""Objects are there whole or not at all, in a folder and in a bucket alike."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from app import create_app
from app.storage import PART_BYTES, Storage, storage_of
from tests.environments import basic_environment
from tests.storage.content import LARGE, read

pytestmark = pytest.mark.req("D7")


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("as_stream", [False, True], ids=["bytes", "stream"])
def test_what_is_put_is_there(storage: Storage, content: bytes, as_stream: bool) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)

    storage.put("a/b/object", io.BytesIO(content) if as_stream else content)

    (entry,) = storage.entries("a/")
    with storage.open("a/b/object") as found:
        assert found.read() == content
    assert (entry.key, entry.size) == ("a/b/object", len(content))
    assert before < entry.modified < datetime.now(UTC) + timedelta(seconds=2)
    assert storage.exists("a/b/object")
    assert not storage.exists("a/b")


def test_a_part_is_read_wherever_it_lies(storage: Storage) -> None:
    storage.put("object", LARGE)

    with storage.open("object") as found:
        for start, count in ((0, 1), (PART_BYTES - 3, 9), (1_048_570, 12), (len(LARGE) - 4, 100), (7, 0)):
            found.seek(start)
            assert found.read(count) == LARGE[start : start + count]
        found.seek(-7, os.SEEK_END)
        assert found.read() == b"the end"
        found.seek(5, os.SEEK_END)
        assert found.read() == b""


def test_keys_are_listed_below_a_prefix(storage: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "c"):
        storage.put(key, b"content")

    assert sorted(storage.keys("a/")) == ["a/1", "a/b/2"]
    assert list(storage.keys("nothing/")) == []


def test_a_later_object_takes_the_place_of_an_earlier_one_and_deleting_twice_is_as_good_as_once(
    storage: Storage,
) -> None:
    storage.put("a/object", LARGE)
    storage.put("a/object", b"later")
    with storage.open("a/object") as found:
        assert found.read() == b"later"

    for _ in range(2):
        storage.delete("a/object")

    assert not storage.exists("a/object")
    assert list(storage.keys("a/")) == []
    with pytest.raises(FileNotFoundError):
        storage.open("a/object")


def test_an_object_that_goes_while_it_is_read_is_missed_in_the_same_way(storage: Storage) -> None:
    storage.put("object", LARGE)
    found = storage.open("object")
    found.read(10)
    storage.delete("object")

    with pytest.raises(FileNotFoundError):
        found.read()


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "a/../b", "../../etc/passwd", "a b", "a#1", "a\n", "ä", ".hidden", "a\\b"]
)
def test_a_key_that_could_lead_elsewhere_is_none(storage: Storage, key: str) -> None:
    for use in (lambda: storage.put(key, b""), lambda: storage.open(key), lambda: storage.delete(key)):
        with pytest.raises(ValueError, match="is no key"):
            use()


class Halting(io.RawIOBase):
    """Content that halts half-way, until it is told to go on or to fail."""

    def __init__(self) -> None:
        self.half, self.go_on = Event(), Event()
        self.error: Exception | None = None
        self._left = [LARGE, b""]

    def read(self, size: int = -1) -> bytes:
        if len(self._left) == 1:
            self.half.set()
            assert self.go_on.wait(60)
            if self.error:
                raise self.error
        return self._left.pop(0)


@pytest.mark.parametrize("fails", [False, True], ids=["ends well", "fails"])
@pytest.mark.parametrize("earlier", [None, b"earlier"], ids=["new", "again"])
def test_nothing_is_seen_of_an_object_until_it_is_whole(storage: Storage, earlier: bytes | None, fails: bool) -> None:
    content = Halting()
    content.error = ArithmeticError("on purpose") if fails else None
    raised: list[Exception] = []
    if earlier:
        storage.put("a/object", earlier)

    def write() -> None:
        try:
            storage.put("a/object", content)
        except ArithmeticError as error:
            raised.append(error)

    writer = Thread(target=write)
    writer.start()
    assert content.half.wait(60)
    seen = list(storage.keys("a/")), storage.exists("a/object"), read(storage, "a/object")
    content.go_on.set()
    writer.join(60)

    assert seen == (["a/object"] if earlier else [], bool(earlier), earlier)
    assert read(storage, "a/object") == (earlier if fails else LARGE)
    assert len(raised) == fails


def test_files_lie_in_the_instance_folder_where_nothing_else_is_set() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))

    assert storage_of(app)._folder == Path(app.instance_path) / "storage"
