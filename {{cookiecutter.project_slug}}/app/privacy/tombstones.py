"""Tombstones: who was erased is kept in the database and in the storage, and either makes the other whole.

A backup of the database knows nothing of those who were erased after it was made; the storage does.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.database import now
from app.privacy.models import Erasure
from app.storage import Storage

FOLDER = "erasures/"
TIME = "%Y%m%dT%H%M%S%fZ"
BATCH = 500


class Identity(NamedTuple):
    """Whom a tombstone means: an id, which others may have later, and the time of registering, in UTC."""

    user_id: int
    created_at: datetime


def write(session: Session, storage: Storage, erasure: Erasure) -> None:
    """Keep a tombstone in the storage; raises `StorageUnavailable`."""
    content = {"user_id": erasure.user_id, "user_created_at": erasure.user_created_at, "erased_at": erasure.erased_at}
    identity = Identity(erasure.user_id, erasure.user_created_at)
    storage.put(_key(identity), json.dumps(content, default=datetime.isoformat).encode())
    erasure.stored_at = now()
    session.commit()


def write_missing(session: Session, storage: Storage) -> int:
    """Keep in the storage what could not be kept there when it was made; raises `StorageUnavailable`.

    Returns how many there were.
    """
    missing = session.scalars(sa.select(Erasure).where(Erasure.stored_at.is_(None)).order_by(Erasure.id)).all()
    for erasure in missing:
        write(session, storage, erasure)
    return len(missing)


def exchange(session: Session, storage: Storage) -> None:
    """Give the database what only the storage has, and the other way round; raises `StorageUnavailable`."""
    here = {Identity(user_id, time): number for number, user_id, time in session.execute(_known())}
    there = {identity for key in storage.keys(FOLDER) if (identity := _identity(key))}
    for identity in there - here.keys():
        session.add(_read(storage, identity))
        session.commit()
    for identity in here.keys() - there:
        write(session, storage, session.get_one(Erasure, here[identity]))


def who_is_back(session: Session) -> list[int]:
    """The ids of the users that have a tombstone in the database."""
    erased = [Identity(user_id, time) for _, user_id, time in session.execute(_known())]
    back: list[Identity] = []
    for start in range(0, len(erased), BATCH):
        some = erased[start : start + BATCH]
        users = sa.select(User.id, User.created_at).where(User.id.in_({identity.user_id for identity in some}))
        back += {Identity(*user) for user in session.execute(users)}.intersection(some)
    return [user_id for user_id, _ in back]


def _known() -> sa.Select[int, int, datetime]:
    return sa.select(Erasure.id, Erasure.user_id, Erasure.user_created_at)


def _read(storage: Storage, identity: Identity) -> Erasure:
    with storage.open(_key(identity)) as file:
        erased_at = datetime.fromisoformat(json.load(file)["erased_at"])
    return Erasure(
        user_id=identity.user_id,
        user_created_at=identity.created_at,
        erased_at=erased_at,
        session_ids=[],
        stored_at=now(),
    )


def _key(identity: Identity) -> str:
    return f"{FOLDER}{identity.user_id}-{identity.created_at.strftime(TIME)}.json"


def _identity(key: str) -> Identity | None:
    """Whom an object means, by its name; None if it is no tombstone."""
    user_id, _, time = key.removeprefix(FOLDER).removesuffix(".json").partition("-")
    try:
        return Identity(int(user_id), datetime.strptime(time, TIME).replace(tzinfo=UTC))
    except ValueError:
        return None
