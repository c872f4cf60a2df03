"""Where files are kept: a folder that all replicas mount, or a bucket of an S3-compatible server (`STORAGE_URL`).

An object is there whole or not at all, also for those who look while it is written, and when the writer dies. Writers
of one key do not disturb each other: the last one to finish wins.
"""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from flask import Flask
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store
from werkzeug.exceptions import ServiceUnavailable

from app.settings import Settings, settings_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import S3Config

logger = logging.getLogger(__name__)

PART_BYTES = 5 * 1024 * 1024  # what S3 takes for a part at least; two are in memory at a time, and two on their way
READ_BYTES = 1024 * 1024
CONNECT_TIMEOUT = timedelta(seconds=2)
REQUEST_TIMEOUT = timedelta(seconds=10)  # for a part or a piece, not for a whole object
RETRY_TIMEOUT = timedelta(seconds=5)  # a server that refuses is asked again; one that says nothing is not
RETRY_AFTER_SECONDS = 5
KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class StorageUnavailable(ServiceUnavailable):
    """The storage does not answer, or not with what was asked of it; worth another try."""

    def __init__(self) -> None:
        super().__init__(retry_after=RETRY_AFTER_SECONDS)


class Source(Protocol):
    """What content is read from; a file open for reading is one."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, none at the end."""


@dataclass(frozen=True)
class Entry:
    """An object in a list: its size in bytes, and when it was written."""

    key: str
    size: int
    modified: datetime


class Storage:
    """Objects by key, in a folder or a bucket.

    Keys are letters, digits, `_`, `-`, `.` and `/` between them. Every method raises `StorageUnavailable`.
    """

    # The library runs threads, which a fork does not take along: a child that went on with them would wait for ever.
    _used_by: ClassVar[int | None] = None

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = urlsplit(url)
        self._settings = settings

    def put(self, key: str, content: bytes | Source) -> None:
        """Keep an object under a key, in place of an older one.

        A stream is read as it comes, and must not come from a storage itself; what it raises keeps nothing.
        """
        with _translated():
            try:
                self._put(_checked(key), content)
            except FileNotFoundError as error:  # there is no such bucket
                raise StorageUnavailable from error

    def _put(self, key: str, content: bytes | Source) -> None:
        parts = iter([content]) if isinstance(content, bytes) else _parts(content)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            obstore.put(self._store, key, first, use_multipart=False)
        else:
            every: Iterable[bytes] = chain((first, second), parts)
            obstore.put(self._store, key, every, chunk_size=PART_BYTES, max_concurrency=2)
        if self._folder:
            _make_durable(self._folder, key)

    def open(self, key: str) -> BinaryIO:
        """The object as a file to read and to seek in; raises `FileNotFoundError`, later too if it goes meanwhile."""
        with _translated():
            size = obstore.head(self._store, _checked(key))["size"]
        return io.BufferedReader(_Reader(self._store, key, size))

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        with _translated():
            try:
                obstore.head(self._store, _checked(key))
            except FileNotFoundError:
                return False
        return True

    def delete(self, key: str) -> None:
        """Delete an object; twice is as good as once."""
        with _translated(), suppress(FileNotFoundError):
            obstore.delete(self._store, _checked(key))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The objects whose keys begin with a prefix that ends in `/`, in no order."""
        with _translated():
            for batch in obstore.list(self._store, prefix=_checked(prefix.rstrip("/"))):
                for found in batch:
                    yield Entry(found["path"], found["size"], found["last_modified"])

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix that ends in `/`, in no order."""
        return (entry.key for entry in self.entries(prefix))

    def drop_unfinished(self, age: timedelta) -> int:
        """Delete what writers left in the folder that died so long ago; returns how many files.

        Nobody sees them, but they take up room. In a bucket, a lifecycle rule does this.
        """
        if not self._folder:
            return 0
        # What is being written has a # in its name, which no key has.
        left = [path for path in self._folder.rglob("*#*") if _is_older(path, age)]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    @cached_property
    def _folder(self) -> Path | None:
        return Path(unquote(self._url.path)) if self._url.scheme == "file" else None

    @property
    def _store(self) -> LocalStore | S3Store:
        """Opened in the process that uses it: Gunicorn and Celery fork theirs."""
        if Storage._used_by not in (None, os.getpid()):
            raise RuntimeError("the storage was used before this process was forked off, where it must not be")
        Storage._used_by = os.getpid()
        return self._opened

    @cached_property
    def _opened(self) -> LocalStore | S3Store:
        if self._folder:
            return LocalStore(self._folder, automatic_cleanup=True, mkdir=True)
        return _bucket(self._url.netloc, unquote(self._url.path).strip("/"), self._settings)


class _Reader(io.RawIOBase):
    """Reads an object piece by piece, each with a request of its own, so that a slow reader holds none open."""

    def __init__(self, store: LocalStore | S3Store, key: str, size: int) -> None:
        self._store, self._key, self._size, self._position = store, key, size, 0
        self._piece, self._start = memoryview(b""), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view, ahead = memoryview(buffer), self._ahead()
        count = min(len(view), len(ahead))
        view[:count] = ahead[:count]
        self._position += count
        return count

    def _ahead(self) -> memoryview:
        """What comes next: a whole piece, since the layers above ask for little at a time."""
        if not self._start <= self._position < self._start + len(self._piece):
            length = min(READ_BYTES, self._size - self._position)
            self._piece, self._start = memoryview(self._get(length) if length > 0 else b""), self._position
        return self._piece[self._position - self._start :]

    def _get(self, length: int) -> bytes:
        with _translated():
            return bytes(obstore.get_range(self._store, self._key, start=self._position, length=length))


def init_app(app: Flask) -> None:
    """Give the app its storage; nothing is opened yet."""
    settings = settings_of(app)
    default = (Path(app.instance_path) / "storage").as_uri()
    app.extensions["storage"] = Storage(settings.STORAGE_URL or default, settings)


def storage_of(app: Flask) -> Storage:
    """The app's storage."""
    storage: Storage = app.extensions["storage"]
    return storage


def _checked(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key: letters, digits, _, - and . are, with / between them")
    return key


def _parts(stream: Source) -> Iterator[bytes]:
    while part := stream.read(PART_BYTES):
        yield part


def _bucket(name: str, prefix: str, settings: Settings) -> S3Store:
    config: S3Config = {"region": settings.S3_REGION}
    if settings.S3_ENDPOINT_URL:
        config["endpoint"] = settings.S3_ENDPOINT_URL
    if settings.S3_ACCESS_KEY_ID and settings.S3_SECRET_ACCESS_KEY:
        config["access_key_id"] = settings.S3_ACCESS_KEY_ID
        config["secret_access_key"] = settings.S3_SECRET_ACCESS_KEY
    # Where there is no endpoint it is Amazon, which has a host name for each bucket.
    config["virtual_hosted_style_request"] = not settings.S3_ENDPOINT_URL
    return S3Store(
        name,
        prefix=prefix or None,
        config=config,
        client_options={"allow_http": True, "connect_timeout": CONNECT_TIMEOUT, "timeout": REQUEST_TIMEOUT},
        retry_config={"max_retries": 1, "retry_timeout": RETRY_TIMEOUT},
    )


@contextmanager
def _translated() -> Iterator[None]:
    """Tell what is not there (`FileNotFoundError`) from a storage that fails, whose reasons are for the log."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        logger.error("storage unavailable: %s", str(error).partition("\n")[0])  # noqa: TRY400 - the rest repeats it
        raise StorageUnavailable from error


def _make_durable(folder: Path, key: str) -> None:
    """Have a written file survive a power cut, as S3's objects do: its content, and its name in each folder."""
    path = folder / key
    with suppress(FileNotFoundError):  # deleted meanwhile
        for part in (path, *path.parents[: key.count("/") + 1]):
            descriptor = os.open(part, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _is_older(path: Path, age: timedelta) -> bool:
    try:
        return path.stat().st_mtime < time.time() - age.total_seconds()
    except FileNotFoundError:
        return False
