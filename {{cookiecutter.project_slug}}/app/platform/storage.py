"""Object storage: a folder that all replicas mount, or a bucket of an S3-compatible server (`STORAGE_URL`).

Writes are atomic: readers never see a part of an object, even during a write or after the writer dies. Of several
writers of one key, the last to finish wins.
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

from app.platform.components import platform_of
from app.platform.settings.declarations import Settings, settings_of
from app.platform.web.problems import RETRY_AFTER_SECONDS

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import S3Config

logger = logging.getLogger(__name__)

PART_BYTES = 5 * 1024 * 1024  # the smallest part that S3 accepts; two are in memory and two in transfer at a time
READ_BYTES = 1024 * 1024
CONNECT_TIMEOUT = timedelta(seconds=2)
REQUEST_TIMEOUT = timedelta(seconds=10)  # per part or chunk, not per object
RETRY_TIMEOUT = timedelta(seconds=5)  # after a connection error, but not after a timeout
KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class StorageUnavailable(ServiceUnavailable):
    """The storage does not answer, or returns an error; a later attempt may succeed."""

    def __init__(self) -> None:
        super().__init__(retry_after=RETRY_AFTER_SECONDS)


class Readable(Protocol):
    """A source of content, such as a file that is open for reading."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; empty at the end."""


@dataclass(frozen=True)
class StoredObject:
    """An object in a list: its key, its size in bytes, and when it was written."""

    key: str
    size: int
    modified: datetime


class Storage:
    """Objects by key, in a folder or a bucket.

    Keys are letters, digits, `_`, `-`, `.` and `/` between them. Every method raises `StorageUnavailable`.
    """

    # The library runs threads, which do not exist in a forked child: the child would wait for them forever.
    _used_by: ClassVar[int | None] = None

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = urlsplit(url)
        self._settings = settings

    def put(self, key: str, content: bytes | Readable) -> None:
        """Store an object under a key; replaces an earlier one.

        A stream is read in parts, and must not be an object of a storage; if reading it raises, nothing is stored.
        """
        with _translate_errors():
            try:
                self._put(_valid_key(key), content)
            except FileNotFoundError as error:  # the bucket does not exist
                raise StorageUnavailable from error

    def _put(self, key: str, content: bytes | Readable) -> None:
        parts = iter([content]) if isinstance(content, bytes) else _read_parts(content)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            obstore.put(self._store, key, first, use_multipart=False)
        else:
            all_parts: Iterable[bytes] = chain((first, second), parts)
            obstore.put(self._store, key, all_parts, chunk_size=PART_BYTES, max_concurrency=2)
        if self._folder:
            _make_durable(self._folder, key)

    def open(self, key: str) -> BinaryIO:
        """Open an object as a seekable file; raises `FileNotFoundError`, also while reading if it is deleted then."""
        with _translate_errors():
            size = obstore.head(self._store, _valid_key(key))["size"]
        return io.BufferedReader(_Reader(self._store, key, size))

    def exists(self, key: str) -> bool:
        """Whether the object exists."""
        with _translate_errors():
            try:
                obstore.head(self._store, _valid_key(key))
            except FileNotFoundError:
                return False
        return True

    def delete(self, key: str) -> None:
        """Delete an object; idempotent."""
        with _translate_errors(), suppress(FileNotFoundError):
            obstore.delete(self._store, _valid_key(key))

    def move(self, key: str, new_key: str) -> bool:
        """Give an object another key, and replace the object that has it; return False if there is no such object."""
        with _translate_errors():
            try:
                obstore.rename(self._store, _valid_key(key), _valid_key(new_key))
            except FileNotFoundError:
                return False
        return True

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys start with a prefix that ends in `/`, unordered; skip those with other names."""
        with _translate_errors():
            for batch in obstore.list(self._store, prefix=_valid_key(prefix.rstrip("/"))):
                for item in batch:
                    if KEY.fullmatch(item["path"]):
                        yield StoredObject(item["path"], item["size"], item["last_modified"])

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with a prefix that ends in `/`, unordered."""
        return (stored.key for stored in self.list_objects(prefix))

    def delete_unfinished(self, age: timedelta) -> int:
        """Delete the temporary files of writers that died at least `age` ago; return the number of files.

        Readers do not see these files, but they use disk space. In a bucket, a lifecycle rule does this.
        """
        if not self._folder:
            return 0
        # Temporary files have a # in their names, which keys never have.
        leftovers = [path for path in self._folder.rglob("*#*") if _is_older_than(path, age)]
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)

    @cached_property
    def _folder(self) -> Path | None:
        return Path(unquote(self._url.path)) if self._url.scheme == "file" else None

    @property
    def _store(self) -> LocalStore | S3Store:
        """The store, opened in the process that uses it, because Gunicorn and Celery fork."""
        if Storage._used_by not in (None, os.getpid()):
            raise RuntimeError("The storage was used before this process was forked: use it after the fork only.")
        Storage._used_by = os.getpid()
        return self._opened

    @cached_property
    def _opened(self) -> LocalStore | S3Store:
        if self._folder:
            return LocalStore(self._folder, automatic_cleanup=True, mkdir=True)
        return _bucket(self._url.netloc, unquote(self._url.path).strip("/"), self._settings)


class _Reader(io.RawIOBase):
    """Reads an object in chunks, each with a separate request: a slow reader keeps no connection open."""

    def __init__(self, store: LocalStore | S3Store, key: str, size: int) -> None:
        self._store, self._key, self._size, self._position = store, key, size, 0
        self._chunk, self._start = memoryview(b""), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view, buffered = memoryview(buffer), self._buffered()
        count = min(len(view), len(buffered))
        view[:count] = buffered[:count]
        self._position += count
        return count

    def _buffered(self) -> memoryview:
        """Return the rest of the current chunk; reads the next chunk first if the position is outside of it."""
        if not self._start <= self._position < self._start + len(self._chunk):
            length = min(READ_BYTES, self._size - self._position)
            self._chunk, self._start = memoryview(self._get(length) if length > 0 else b""), self._position
        return self._chunk[self._position - self._start :]

    def _get(self, length: int) -> bytes:
        with _translate_errors():
            return bytes(obstore.get_range(self._store, self._key, start=self._position, length=length))


def init_app(app: Flask) -> None:
    """Add the storage to the app; nothing is opened yet."""
    settings = settings_of(app)
    default = (Path(app.instance_path) / "storage").as_uri()
    platform_of(app).add(Storage(settings.STORAGE_URL or default, settings))


def storage_of(app: Flask) -> Storage:
    """Return the storage of an app."""
    return platform_of(app).get(Storage)


def _valid_key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not a valid key: use letters, digits, _, - and ., with / between them.")
    return key


def _read_parts(stream: Readable) -> Iterator[bytes]:
    while part := stream.read(PART_BYTES):
        yield part


def _bucket(name: str, prefix: str, settings: Settings) -> S3Store:
    config: S3Config = {"region": settings.S3_REGION}
    if settings.S3_ENDPOINT_URL:
        config["endpoint"] = settings.S3_ENDPOINT_URL
    if settings.S3_ACCESS_KEY_ID and settings.S3_SECRET_ACCESS_KEY:
        config["access_key_id"] = settings.S3_ACCESS_KEY_ID
        config["secret_access_key"] = settings.S3_SECRET_ACCESS_KEY
    # Without an endpoint the server is Amazon S3, which has a host name for each bucket.
    config["virtual_hosted_style_request"] = not settings.S3_ENDPOINT_URL
    return S3Store(
        name,
        prefix=prefix or None,
        config=config,
        client_options={"allow_http": True, "connect_timeout": CONNECT_TIMEOUT, "timeout": REQUEST_TIMEOUT},
        retry_config={"max_retries": 1, "retry_timeout": RETRY_TIMEOUT},
    )


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Let `FileNotFoundError` pass; log other errors, and raise `StorageUnavailable` without their details."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        logger.error("storage unavailable: %s", str(error).partition("\n")[0])  # noqa: TRY400 - the traceback adds nothing
        raise StorageUnavailable from error


def _make_durable(folder: Path, key: str) -> None:
    """Sync a written file and its parent folders to disk, so that it survives a power failure, like S3 objects do."""
    path = folder / key
    with suppress(FileNotFoundError):  # deleted in between
        for part in (path, *path.parents[: key.count("/") + 1]):
            descriptor = os.open(part, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _is_older_than(path: Path, age: timedelta) -> bool:
    try:
        return path.stat().st_mtime < time.time() - age.total_seconds()
    except FileNotFoundError:
        return False
