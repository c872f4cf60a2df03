"""Rules and queries of files: the object in the storage comes before its row, and goes after it."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.data_files.content import recognise
from app.data_files.models import STATUSES, DataFile, TestRun
from app.database import now
from app.pagination import before
from app.personal_data import tell_rows
from app.storage import Storage, StorageUnavailable

logger = logging.getLogger(__name__)

FOLDER = "data-files/"  # what every key begins with
ORPHAN_AGE = timedelta(days=1)  # an object younger than that may belong to an upload under way
BATCH = 500

Cursor = tuple[datetime, int]


class OwnerGone(Exception):
    """The account was erased while the request ran."""


class _Measured:
    """A stream that measures what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        """Read, at most `size` bytes."""
        data = self._stream.read(size)
        self.hash.update(data)
        self.size += len(data)
        return data


def add(
    session: Session, storage: Storage, user_id: int, *, name: str, stream: IO[bytes], origin: audit.Origin
) -> DataFile:
    """Keep a file; raises `UnknownContent`, `StorageUnavailable` and `OwnerGone`, and then keeps nothing of it."""
    media_type = recognise(stream, name)
    stream.seek(0)
    measured = _Measured(stream)
    key = f"{FOLDER}{user_id}/{uuid.uuid4().hex}"
    storage.put(key, measured)
    file = DataFile(user_id=user_id, name=name, media_type=media_type, storage_key=key)
    file.size, file.sha256 = measured.size, measured.hash.hexdigest()
    session.add(file)
    try:
        session.flush()
    except SQLAlchemyError as error:
        session.rollback()
        discard(storage, key)
        if isinstance(error, IntegrityError):
            raise OwnerGone from error
        raise
    _record(session, "data_file.added", file, origin)
    session.commit()  # if this fails, who knows whether the row is there: the object is left to `drop_orphans`
    return file


def files(session: Session, user_id: int, limit: int, cursor: Cursor | None) -> Sequence[DataFile]:
    """Up to `limit` + 1 files of a user, newest first, from the cursor on."""
    query = sa.select(DataFile).where(DataFile.user_id == user_id)
    if cursor:
        query = query.where(before(DataFile.created_at, DataFile.id, cursor))
    return session.scalars(query.order_by(DataFile.created_at.desc(), DataFile.id.desc()).limit(limit + 1)).all()


def find(session: Session, user_id: int, file_id: int) -> DataFile | None:
    """The file with this id, if it is the user's."""
    return session.scalar(sa.select(DataFile).where(DataFile.id == file_id, DataFile.user_id == user_id))


def delete(session: Session, storage: Storage, user_id: int, file_id: int, origin: audit.Origin) -> bool:
    """Delete a file; the history of its tests stays. False when there is no such file of the user's."""
    own = sa.select(DataFile).where(DataFile.id == file_id, DataFile.user_id == user_id)
    file = session.scalar(own.with_for_update())
    if file is None:
        return False
    key = file.storage_key
    _record(session, "data_file.deleted", file, origin)
    session.delete(file)
    session.commit()
    discard(storage, key)
    return True


def discard(storage: Storage, key: str) -> None:
    """Delete an object that has no row; while the storage is away, it is left to `drop_orphans`."""
    with suppress(StorageUnavailable):
        storage.delete(key)


def keys_of(session: Session, user_id: int) -> Sequence[str]:
    """The keys of a user's objects."""
    return session.scalars(sa.select(DataFile.storage_key).where(DataFile.user_id == user_id)).all()


def drop_objects(session: Session, storage: Storage, keys: Sequence[str]) -> int:
    """Delete those of the objects that have no row; returns how many."""
    kept = set(session.scalars(sa.select(DataFile.storage_key).where(DataFile.storage_key.in_(keys))))
    session.rollback()  # the storage may take its time, and needs no connection to the database
    orphans = [key for key in keys if key not in kept]
    for key in orphans:
        storage.delete(key)
    return len(orphans)


def drop_orphans(session: Session, storage: Storage) -> int:
    """Delete objects that have had no row for `ORPHAN_AGE`, and what writers that died left; returns how many."""
    long_ago = now() - ORPHAN_AGE
    old = (entry.key for entry in storage.entries(FOLDER) if entry.modified < long_ago)
    dropped = storage.drop_unfinished(ORPHAN_AGE)
    while batch := list(islice(old, BATCH)):
        dropped += drop_objects(session, storage, batch)
    if dropped:
        logger.warning("dropped %d files that no row leads to", dropped)
    return dropped


def tell(session: Session, user_id: int) -> dict[str, Any]:
    """A user's files, without their content, and the history of tests on them."""
    held = sa.select(DataFile).where(DataFile.user_id == user_id).order_by(DataFile.id)
    tested = sa.select(TestRun).where(TestRun.user_id == user_id).order_by(TestRun.id)
    return {"data_files": tell_rows(session, held, but=("storage_key",)), "test_history": tell_rows(session, tested)}


def count(session: Session) -> Mapping[str, Any]:
    """How many files there are, their bytes, and how many tests have which status."""
    number, size = session.execute(sa.select(sa.func.count(DataFile.id), sa.func.sum(DataFile.size))).one()
    by_status = sa.select(TestRun.status, sa.func.count(TestRun.id)).group_by(TestRun.status)
    tests = dict.fromkeys(STATUSES, 0) | dict(session.execute(by_status).all())
    return {"files": number, "bytes": int(size or 0), "tests": tests}


def _record(session: Session, action: str, file: DataFile, origin: audit.Origin) -> None:
    target, details = ("data_file", file.id), {"size": file.size, "sha256": file.sha256}
    audit.record(session, action, actor_id=file.user_id, target=target, origin=origin, **details)
