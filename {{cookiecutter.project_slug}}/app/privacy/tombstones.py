"""Tombstones of erased users, in the database and in the storage; `sync` copies each one that only one of them has.

A backup of the database lacks the erasures made after it; the storage has them, signed. The entry of the erasure in the
audit log contains the signed tombstone too: a row that was written into the table by other means gets no signature.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.audit import service as audit
from app.platform.database.base import utc_now
from app.platform.security.signatures import InvalidSignature, UnknownKey
from app.platform.storage import Storage
from app.privacy.models import Erasure
from app.privacy.signatures import Signer

FOLDER = "erasures/"
TIME_FORMAT = "%Y%m%dT%H%M%S%fZ"
BATCH = 500
MAX_BYTES = 4096  # of a tombstone in the storage
UNSIGNED = "unsigned"  # instead of a key id: the row has no signature

Content = dict[str, Any]


class Identity(NamedTuple):
    """The identity of an erased user: the id, which another user may get later, and the time of registration in UTC."""

    user_id: int
    created_at: datetime


def sign(signer: Signer, erasure: Erasure) -> Content:
    """Return the signed tombstone of an erasure that begins, as the details of its entry in the audit log."""
    tombstone: Content = json.loads(signer.sign(_content(_identity(erasure), erasure.erased_at)))
    return tombstone


class TombstoneStore:
    """The tombstones in the storage. Every method raises `StorageUnavailable`."""

    def __init__(self, storage: Storage, signer: Signer) -> None:
        self._storage, self._signer = storage, signer

    def write(self, session: Session, erasure: Erasure, *, accept_unsigned: bool = False) -> bool:
        """Write a tombstone, and commit; return False if the service has not signed it.

        `accept_unsigned`: sign it now.
        """
        identity = _identity(erasure)
        try:
            content = self._signed_content(session, identity)
        except InvalidSignature as error:
            if not accept_unsigned:
                if not isinstance(error, UnknownKey):  # whose secret can be added again
                    erasure.stored_key_id = UNSIGNED
                    session.commit()
                return False
            content = _content(identity, erasure.erased_at)
        self._storage.put(_key(identity), self._signer.sign(content))
        erasure.stored_at, erasure.stored_key_id = utc_now(), self._signer.current
        session.commit()
        return True

    def write_missing(self, session: Session) -> int:
        """Write up to `BATCH` tombstones that are only in the database, or signed with an earlier key; return how many.

        After a change of the key, several calls sign all of them again.
        """
        key_id = Erasure.stored_key_id
        outdated = sa.or_(key_id.is_(None), key_id.not_in((self._signer.current, UNSIGNED)))
        missing = session.scalars(sa.select(Erasure).where(outdated).order_by(Erasure.id).limit(BATCH)).all()
        return sum([self.write(session, erasure) for erasure in missing])

    def sync(self, session: Session, *, repair: bool = False, accept_unsigned: bool = False) -> list[str]:
        """Copy tombstones from the storage to the database and back, until both have all.

        Returns a message for each object that is no tombstone of this service, and has no effect, and one about rows
        without a signature, which are not copied; `accept_unsigned`: sign them. `repair`: also read the tombstones that
        both have, and write those again that are damaged in the storage.
        """
        in_database = {Identity(user_id, time): row_id for row_id, user_id, time in session.execute(_identities())}
        in_storage = {identity for key in self._storage.list_keys(FOLDER) if (identity := _parse_key(key))}
        problems = []
        for identity in in_storage - in_database.keys():
            try:
                session.add(self._read(identity))
                session.commit()
            except InvalidSignature as error:
                problems.append(f"{_key(identity)} is no tombstone of this service, and is ignored: {error}")
            except IntegrityError:  # another process has copied it
                session.rollback()
        damaged = self._damaged(in_database.keys() & in_storage) if repair else {}
        unsigned = []
        for identity in sorted((in_database.keys() - in_storage) | damaged.keys()):
            erasure = session.get_one(Erasure, in_database[identity])
            if not self.write(session, erasure, accept_unsigned=accept_unsigned):
                unsigned.append(identity)
            elif identity in damaged:
                problems.append(f"{_key(identity)} was damaged and is written again: {damaged[identity]}")
        return [*problems, *_unsigned_problem(unsigned)]

    def _damaged(self, identities: Iterable[Identity]) -> dict[Identity, InvalidSignature]:
        """Return the tombstones in the storage whose signature is not valid, and why."""
        damaged = {}
        for identity in identities:
            try:
                self._read(identity)
            except InvalidSignature as error:
                damaged[identity] = error
        return damaged

    def _signed_content(self, session: Session, identity: Identity) -> Content:
        """Return what this service has signed, as the audit log or the storage has it; raises `InvalidSignature`."""
        for signed in audit.erased_details(session, identity.user_id):
            with suppress(InvalidSignature):
                return self._verify(identity, signed.encode())[0]
        return self._verify(identity, self._load(identity))[0]

    def _read(self, identity: Identity) -> Erasure:
        """Return a tombstone of the storage; raises `InvalidSignature`."""
        content, key_id = self._verify(identity, self._load(identity))
        return Erasure(
            user_id=identity.user_id,
            user_created_at=identity.created_at,
            erased_at=datetime.fromisoformat(content["erased_at"]),
            session_ids=[],
            stored_at=utc_now(),
            stored_key_id=key_id,
        )

    def _load(self, identity: Identity) -> bytes:
        try:
            with self._storage.open(_key(identity)) as file:
                return file.read(MAX_BYTES)
        except FileNotFoundError:
            raise InvalidSignature("it was deleted") from None

    def _verify(self, identity: Identity, signed: bytes) -> tuple[Content, str]:
        """Return the content of a signed tombstone of this user, and the id of the key; raises `InvalidSignature`."""
        content, key_id = self._signer.verify(signed)
        if content != _content(identity, datetime.fromisoformat(content["erased_at"])):
            raise InvalidSignature("it belongs to another name")
        return content, key_id


def existing_users(session: Session) -> list[int]:
    """Return the ids of existing users that have a tombstone: restored from a backup, or not deleted completely."""
    erased = [Identity(user_id, time) for _, user_id, time in session.execute(_identities())]
    existing: list[int] = []
    for start in range(0, len(erased), BATCH):
        batch = erased[start : start + BATCH]
        registered = accounts.registration_times(session, {identity.user_id for identity in batch})
        existing += [identity.user_id for identity in batch if registered.get(identity.user_id) == identity.created_at]
    return existing


def _identities() -> sa.Select[int, int, datetime]:
    return sa.select(Erasure.id, Erasure.user_id, Erasure.user_created_at)


def _identity(erasure: Erasure) -> Identity:
    return Identity(erasure.user_id, erasure.user_created_at)


def _unsigned_problem(unsigned: Sequence[Identity]) -> Iterator[str]:
    if unsigned:
        yield (
            f"{len(unsigned)} erasures in the database, such as that of user {unsigned[0].user_id}, are not signed by "
            "this service, and are not written to the storage: if they are genuine, run flask erasures reapply --sign"
        )


def _content(identity: Identity, erased_at: datetime) -> Content:
    times = {"user_created_at": identity.created_at.isoformat(), "erased_at": erased_at.isoformat()}
    return {"user_id": identity.user_id, **times}


def _key(identity: Identity) -> str:
    return f"{FOLDER}{identity.user_id}-{identity.created_at.strftime(TIME_FORMAT)}.json"


def _parse_key(key: str) -> Identity | None:
    """Return the identity that a storage key contains; None if the object is not a tombstone."""
    user_id, _, time = key.removeprefix(FOLDER).removesuffix(".json").partition("-")
    try:
        identity = Identity(int(user_id), datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC))
    except ValueError:
        return None
    return identity if _key(identity) == key else None
