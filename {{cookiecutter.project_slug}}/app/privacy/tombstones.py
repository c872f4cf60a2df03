"""Tombstones of erased users, in the database and in the storage; `sync` copies each one that only one of them has.

A backup of the database lacks the erasures made after it; the storage has them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.platform.database.base import utc_now
from app.platform.storage import Storage
from app.privacy.models import Erasure

FOLDER = "erasures/"
TIME_FORMAT = "%Y%m%dT%H%M%S%fZ"
BATCH = 500


class Identity(NamedTuple):
    """The identity of an erased user: the id, which another user may get later, and the time of registration in UTC."""

    user_id: int
    created_at: datetime


def write(session: Session, storage: Storage, erasure: Erasure) -> None:
    """Write a tombstone to the storage, and commit; raises `StorageUnavailable`."""
    content = {"user_id": erasure.user_id, "user_created_at": erasure.user_created_at, "erased_at": erasure.erased_at}
    identity = Identity(erasure.user_id, erasure.user_created_at)
    storage.put(_key(identity), json.dumps(content, default=datetime.isoformat).encode())
    erasure.stored_at = utc_now()
    session.commit()


def write_missing(session: Session, storage: Storage) -> int:
    """Write to the storage every tombstone that is only in the database; returns how many.

    Raises `StorageUnavailable`.
    """
    missing = session.scalars(sa.select(Erasure).where(Erasure.stored_at.is_(None)).order_by(Erasure.id)).all()
    for erasure in missing:
        write(session, storage, erasure)
    return len(missing)


def sync(session: Session, storage: Storage) -> None:
    """Copy tombstones from the storage to the database and back, until both have all; raises `StorageUnavailable`."""
    in_database = {Identity(user_id, time): erasure_id for erasure_id, user_id, time in session.execute(_identities())}
    in_storage = {identity for key in storage.list_keys(FOLDER) if (identity := _parse_key(key))}
    for identity in in_storage - in_database.keys():
        session.add(_read(storage, identity))
        session.commit()
    for identity in in_database.keys() - in_storage:
        write(session, storage, session.get_one(Erasure, in_database[identity]))


def restored_users(session: Session) -> list[int]:
    """Return the ids of existing users that have a tombstone in the database: a backup restored them."""
    erased = [Identity(user_id, time) for _, user_id, time in session.execute(_identities())]
    restored: list[int] = []
    for start in range(0, len(erased), BATCH):
        batch = erased[start : start + BATCH]
        registered = accounts.registration_times(session, {identity.user_id for identity in batch})
        restored += [identity.user_id for identity in batch if registered.get(identity.user_id) == identity.created_at]
    return restored


def _identities() -> sa.Select[int, int, datetime]:
    return sa.select(Erasure.id, Erasure.user_id, Erasure.user_created_at)


def _read(storage: Storage, identity: Identity) -> Erasure:
    with storage.open(_key(identity)) as file:
        erased_at = datetime.fromisoformat(json.load(file)["erased_at"])
    return Erasure(
        user_id=identity.user_id,
        user_created_at=identity.created_at,
        erased_at=erased_at,
        session_ids=[],
        stored_at=utc_now(),
    )


def _key(identity: Identity) -> str:
    return f"{FOLDER}{identity.user_id}-{identity.created_at.strftime(TIME_FORMAT)}.json"


def _parse_key(key: str) -> Identity | None:
    """Return the identity that a storage key contains; None if the object is not a tombstone."""
    user_id, _, time = key.removeprefix(FOLDER).removesuffix(".json").partition("-")
    try:
        return Identity(int(user_id), datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC))
    except ValueError:
        return None
