"""Rules and queries of files.

An upload writes the object before the row, and a deletion deletes the row before the object, so that every row has its
object; `orphans` removes objects without a row.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.audit import service as audit
from app.data_files.content import detect_media_type
from app.data_files.models import STATUSES, DataFile, TestRun
from app.platform.api.pagination import CursorValue, newest_first
from app.platform.database.base import rows_changed
from app.platform.personal_data import delete_in_portions, rows_as_dicts
from app.platform.storage import Storage, StorageUnavailable
from app.platform.web.client_address import RequestOrigin

FOLDER = "data-files/"  # prefix of every storage key
BATCH = 1000  # objects


class OwnerDeleted(Exception):
    """The account was erased during the request."""


class QuotaExceeded(Exception):
    """The file does not fit into the user's storage; `left` is the number of bytes that are left."""

    def __init__(self, left: int) -> None:
        self.left = left


class HashingReader:
    """A stream that computes the SHA-256 hash and the size, in bytes, of what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        data = self._stream.read(size)
        self.hash.update(data)
        self.size += len(data)
        return data


def bytes_left(session: Session, user_id: int, quota: int) -> int:
    """Return how many bytes of files a user can still store, of `quota` in total."""
    used = session.scalar(sa.select(sa.func.sum(DataFile.size)).where(DataFile.user_id == user_id))
    return max(0, quota - int(used or 0))


def add(
    session: Session, storage: Storage, user_id: int, *, name: str, stream: IO[bytes], quota: int, origin: RequestOrigin
) -> DataFile:
    """Store a file; the files of a user have at most `quota` bytes.

    Raises `UnsupportedContent`, `StorageUnavailable`, `QuotaExceeded` or `OwnerDeleted`, and then stores nothing.
    """
    media_type = detect_media_type(stream, name)
    stream.seek(0)
    reader = HashingReader(stream)
    key = f"{FOLDER}{user_id}/{uuid.uuid4().hex}"
    storage.put(key, reader)
    file = DataFile(user_id=user_id, name=name, media_type=media_type, storage_key=key)
    file.size, file.sha256 = reader.size, reader.hash.hexdigest()
    try:
        _insert(session, file, quota)
    except (SQLAlchemyError, QuotaExceeded, OwnerDeleted) as error:
        session.rollback()
        delete_object(storage, key)
        if isinstance(error, IntegrityError):
            raise OwnerDeleted from error
        raise
    _record(session, "data_file.added", file, origin)
    session.commit()  # if this fails, the row may exist or not, so the object is left to `orphans`
    return file


def _insert(session: Session, file: DataFile, quota: int) -> None:
    if not accounts.lock(session, file.user_id):  # concurrent uploads of the user are counted one after the other
        raise OwnerDeleted
    left = bytes_left(session, file.user_id, quota)
    if file.size > left:
        raise QuotaExceeded(left)
    session.add(file)
    session.flush()


def list_files(session: Session, user_id: int, limit: int, cursor: CursorValue | None) -> Sequence[DataFile]:
    """Return up to `limit` + 1 files of a user after the cursor, newest first."""
    query = sa.select(DataFile).where(DataFile.user_id == user_id)
    return session.scalars(newest_first(query, DataFile.created_at, DataFile.id, limit, cursor)).all()


def find(session: Session, user_id: int, file_id: int) -> DataFile | None:
    """Return the file with this id, or None if the user has no such file."""
    return session.scalar(sa.select(DataFile).where(DataFile.id == file_id, DataFile.user_id == user_id))


def delete(
    session: Session,
    storage: Storage,
    user_id: int,
    file_id: int,
    origin: RequestOrigin,
    check: Callable[[DataFile], None] = lambda _: None,
) -> bool:
    """Delete a file but not the history of its tests; returns False if the user has no such file.

    `check` gets the locked file, and raises to reject the deletion.
    """
    own = sa.select(DataFile).where(DataFile.id == file_id, DataFile.user_id == user_id)
    file = session.scalar(own.with_for_update())
    if file is None:
        return False
    check(file)
    key = file.storage_key
    _record(session, "data_file.deleted", file, origin)
    if not rows_changed(session, sa.delete(DataFile).where(DataFile.id == file_id)):  # SQLite locks no rows
        session.rollback()
        return False
    session.commit()
    delete_object(storage, key)
    return True


def delete_object(storage: Storage, key: str) -> None:
    """Delete an object without a row; if the storage is unavailable, `orphans` removes it later."""
    with suppress(StorageUnavailable):
        storage.delete(key)


def delete_files(session: Session, user_id: int) -> Iterator[list[str]]:
    """Delete the rows of a user's files in portions; yields the storage keys of each."""
    order = (DataFile.created_at, DataFile.id)
    for portion in delete_in_portions(session, DataFile, user_id, order, DataFile.storage_key):
        yield [key for (key,) in portion]


def keys_without_row(session: Session, keys: Sequence[str]) -> list[str]:
    """Return those of the storage keys, at most `BATCH`, that no row has."""
    stored = DataFile.storage_key.in_(keys)  # callers pass at most BATCH; nosemgrep: unbounded-in-list
    used = set(session.scalars(sa.select(DataFile.storage_key).where(stored)))
    session.rollback()  # the storage can be slow, and needs no database connection
    return [key for key in keys if key not in used]


def delete_objects(session: Session, storage: Storage, keys: Sequence[str]) -> int:
    """Delete the objects with these keys that have no row; returns the number of deleted objects."""
    orphans = keys_without_row(session, keys)
    for key in orphans:
        storage.delete(key)
    return len(orphans)


def export(session: Session, user_id: int) -> dict[str, Any]:
    """Return a user's files, without their content, and the history of the tests on them."""
    files = sa.select(DataFile).where(DataFile.user_id == user_id).order_by(DataFile.id)
    runs = sa.select(TestRun).where(TestRun.user_id == user_id).order_by(TestRun.id)
    return {
        "data_files": rows_as_dicts(session, files, exclude=("storage_key",)),
        "test_history": rows_as_dicts(session, runs),
    }


def count(session: Session) -> Mapping[str, Any]:
    """Return the number of files, their total size in bytes, and the number of tests by status."""
    number, size = session.execute(sa.select(sa.func.count(DataFile.id), sa.func.sum(DataFile.size))).one()
    by_status = sa.select(TestRun.status, sa.func.count(TestRun.id)).group_by(TestRun.status)
    tests = dict.fromkeys(STATUSES, 0) | dict(session.execute(by_status).all())
    return {"files": number, "bytes": int(size or 0), "tests": tests}


def _record(session: Session, action: str, file: DataFile, origin: RequestOrigin) -> None:
    target, details = ("data_file", file.id), {"size": file.size, "sha256": file.sha256}
    audit.record(session, action, actor_id=file.user_id, target=target, origin=origin, **details)
