"""Objects in a folder and in a bucket: atomic writes, reads, lists and keys."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from app import create_app
from app.platform.storage import PART_BYTES, Storage, storage_of
from tests.environments import basic_environment
from tests.platform.storage.content import LARGE, read

pytestmark = pytest.mark.req("D7")


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("as_stream", [False, True], ids=["bytes", "stream"])
def test_stored_objects_are_readable_and_listed(storage: Storage, content: bytes, as_stream: bool) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)

    storage.put("a/b/object", io.BytesIO(content) if as_stream else content)

    (stored,) = storage.list_objects("a/")
    with storage.open("a/b/object") as file:
        assert file.read() == content
    assert (stored.key, stored.size) == ("a/b/object", len(content))
    assert before < stored.modified < datetime.now(UTC) + timedelta(seconds=2)
    assert storage.exists("a/b/object")
    assert not storage.exists("a/b")


def test_seek_and_read_any_range(storage: Storage) -> None:
    storage.put("object", LARGE)

    with storage.open("object") as file:
        for start, count in ((0, 1), (PART_BYTES - 3, 9), (1_048_570, 12), (len(LARGE) - 4, 100), (7, 0)):
            file.seek(start)
            assert file.read(count) == LARGE[start : start + count]
        file.seek(-7, os.SEEK_END)
        assert file.read() == b"the end"
        file.seek(5, os.SEEK_END)
        assert file.read() == b""


def test_lists_keys_of_a_prefix(storage: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "c"):
        storage.put(key, b"content")

    assert sorted(storage.list_keys("a/")) == ["a/1", "a/b/2"]
    assert list(storage.list_keys("nothing/")) == []


def test_put_replaces_and_delete_is_idempotent(storage: Storage) -> None:
    storage.put("a/object", LARGE)
    storage.put("a/object", b"later")
    with storage.open("a/object") as file:
        assert file.read() == b"later"

    for _ in range(2):
        storage.delete("a/object")

    assert not storage.exists("a/object")
    assert list(storage.list_keys("a/")) == []
    with pytest.raises(FileNotFoundError):
        storage.open("a/object")


def test_object_deleted_while_reading_raises_file_not_found(storage: Storage) -> None:
    storage.put("object", LARGE)
    file = storage.open("object")
    file.read(10)
    storage.delete("object")

    with pytest.raises(FileNotFoundError):
        file.read()


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "a/../b", "../../etc/passwd", "a b", "a#1", "a\n", "ä", ".hidden", "a\\b"]
)
def test_unsafe_keys_are_rejected(storage: Storage, key: str) -> None:
    for operation in (lambda: storage.put(key, b""), lambda: storage.open(key), lambda: storage.delete(key)):
        with pytest.raises(ValueError, match="is not a valid key"):
            operation()


class PausingStream(io.RawIOBase):
    """Content that pauses half-way until the test lets it continue or fail."""

    def __init__(self) -> None:
        self.paused, self.resume = Event(), Event()
        self.error: Exception | None = None
        self._parts = [LARGE, b""]

    def read(self, size: int = -1) -> bytes:
        if len(self._parts) == 1:
            self.paused.set()
            assert self.resume.wait(60)
            if self.error:
                raise self.error
        return self._parts.pop(0)


@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
@pytest.mark.parametrize("earlier", [None, b"earlier"], ids=["new", "again"])
def test_object_is_invisible_until_it_is_complete(storage: Storage, earlier: bytes | None, fails: bool) -> None:
    content = PausingStream()
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
    assert content.paused.wait(60)
    seen = list(storage.list_keys("a/")), storage.exists("a/object"), read(storage, "a/object")
    content.resume.set()
    writer.join(60)

    assert seen == (["a/object"] if earlier else [], bool(earlier), earlier)
    assert read(storage, "a/object") == (earlier if fails else LARGE)
    assert len(raised) == fails


def test_default_storage_is_in_the_instance_folder() -> None:
    app = create_app(basic_environment(DATABASE_URL="sqlite://"))

    assert storage_of(app)._folder == Path(app.instance_path) / "storage"


def test_moves_an_object_and_replaces_the_one_at_the_new_key(storage: Storage) -> None:
    storage.put("a/old", b"content")
    storage.put("b/new", b"replaced")

    moved = [storage.move("a/old", "b/new"), storage.move("a/old", "b/other")]

    assert moved == [True, False]
    assert [stored.key for stored in storage.list_objects("a/")] == []
    assert [stored.key for stored in storage.list_objects("b/")] == ["b/new"]
    with storage.open("b/new") as file:
        assert file.read() == b"content"
