"""Encryption keys: their age, the number of values under each, and the re-encryption under the current key."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.encryption_keys.models import EncryptionKey
from app.platform.database.base import Model, utc_now
from app.platform.database.encryption import (
    BOUND,
    CIPHERTEXT_LIKE,
    KEY_ID_POSITION,
    OWNER,
    DecryptionError,
    Keyring,
    encrypted_columns,
    keyring_of,
    owner_of,
    place_of,
)
from app.platform.web.client_address import RequestOrigin

logger = logging.getLogger(__name__)

BATCH = 500
UNBOUND = "none"  # instead of a key id: the value is plain text, or encrypted without a place


@dataclass(frozen=True)
class KeyState:
    """A key: its age in days since the first use, whether a new key is due, and the number of values by column."""

    kid: str
    state: str  # in use, legacy, unknown, or not bound to its row
    age: int | None
    due: bool
    values: Mapping[str, int]


@dataclass(frozen=True)
class Progress:
    """The result of one batch: the number of values that were re-encrypted, and that could not be decrypted."""

    column: str
    reencrypted: int
    undecryptable: int


class StoredColumn:
    """An encrypted column as the database stores it: ciphertext, without the defaults that an update would set."""

    def __init__(self, column: sa.Column[Any]) -> None:
        (key,) = column.table.primary_key.columns
        self.name = str(column)
        owner = [sa.column(OWNER, sa.BigInteger)] if OWNER in column.table.columns else []
        self.table = sa.table(column.table.name, sa.column(key.name, key.type), sa.column(column.name, sa.Text), *owner)
        self.row_id, self.value = self.table.c[key.name], self.table.c[column.name]
        self.owner_id = owner_of(self.table)

    def place(self, row_id: int, owner_id: int | None) -> str:
        """Return the place of the value of a row, which may belong to a user."""
        return place_of(self.table.name, self.value.name, row_id, owner_id)


def record_current_key(session: Session) -> datetime:
    """Return when the current key was first used; records the current time and commits if it is not recorded."""
    kid = _keyring(session).current
    recorded = session.get(EncryptionKey, kid)
    if recorded is None:
        session.add(EncryptionKey(kid=kid))
        try:
            session.commit()
        except IntegrityError:  # another process recorded the key at the same time
            session.rollback()
        recorded = session.get_one(EncryptionKey, kid)
    return recorded.first_used_at


def age_in_days(since: datetime) -> int:
    """Return the whole days since a time."""
    return (utc_now() - since).days


def key_states(session: Session, due_days: int) -> list[KeyState]:
    """Return every key that is configured or has values; the current key is due for replacement after `due_days`."""
    keyring = _keyring(session)
    counts = values_by_key(session)
    first_used = {key.kid: key.first_used_at for key in session.scalars(sa.select(EncryptionKey))}
    states = []
    for kid in dict.fromkeys((*keyring.ids, *counts)):
        age = age_in_days(first_used[kid]) if kid in first_used else None
        due = kid == keyring.current and age is not None and age >= due_days
        states.append(KeyState(kid, _state(kid, keyring), age, due, counts.get(kid, {})))
    return states


def _state(kid: str, keyring: Keyring) -> str:
    if kid == keyring.current:
        return "in use"
    if kid == UNBOUND:
        return "not bound"
    return "legacy" if kid in keyring.ids else "unknown"


def values_by_key(session: Session) -> dict[str, Counter[str]]:
    """Return the number of values under each key, by key id and column."""
    counts: dict[str, Counter[str]] = {}
    for column in _stored_columns():
        encrypted = column.value.like(CIPHERTEXT_LIKE)
        kid = sa.case((encrypted, sa.func.substr(column.value, KEY_ID_POSITION, 8)), else_=UNBOUND).label("kid")
        query = sa.select(kid, sa.func.count()).where(column.value.is_not(None)).group_by(sa.text("kid"))
        for key_id, count in session.execute(query.select_from(column.table)):
            counts.setdefault(key_id, Counter())[column.name] = count
    return counts


def count_outdated(session: Session) -> int:
    """Return the number of values that are not under the current key."""
    current = _keyring(session).current
    return sum(counter.total() for kid, counter in values_by_key(session).items() if kid != current)


def reencrypt(session: Session, origin: RequestOrigin) -> Iterator[Progress]:
    """Re-encrypt every value under the current key in batches; yields after the commit of each batch.

    The stored values show what remains to be done, so a caller can stop at any time and start again. A value that
    changes after it was read is not overwritten.
    """
    for column in _stored_columns():
        yield from _reencrypt_column(session, column, origin)


def _reencrypt_column(session: Session, column: StoredColumn, origin: RequestOrigin) -> Iterator[Progress]:
    keyring = _keyring(session)
    update = _compare_and_set(column, session.connection().dialect)
    batch = _next_batch(session, column, keyring)
    while batch:
        changes = [change for row in batch if (change := _reencrypt_value(keyring, column, *row))]
        if changes:
            session.execute(update, changes)
            _record(session, keyring, column, len(changes), origin)
        session.commit()
        yield Progress(column.name, len(changes), len(batch) - len(changes))
        batch = _next_batch(session, column, keyring, after=batch[-1][0])


def _next_batch(
    session: Session, column: StoredColumn, keyring: Keyring, after: int | None = None
) -> list[tuple[int, int | None, str]]:
    outdated = sa.and_(column.value.is_not(None), column.value.not_like(f"{BOUND}:{keyring.current}:%"))
    query = sa.select(column.row_id, column.owner_id, column.value).where(outdated).order_by(column.row_id).limit(BATCH)
    if after is not None:
        query = query.where(column.row_id > after)
    return [(row_id, owner_id, stored) for row_id, owner_id, stored in session.execute(query)]


def _reencrypt_value(
    keyring: Keyring, column: StoredColumn, row_id: int, owner_id: int | None, stored: str
) -> dict[str, int | str] | None:
    """Return the parameters of the update; None if the value cannot be decrypted."""
    place = column.place(row_id, owner_id)
    try:
        reencrypted = keyring.encrypt(keyring.decrypt(stored).text_at(place), place)
    except DecryptionError as error:
        logger.error("%s of row %s is not re-encrypted: %s", column.name, row_id, error)  # noqa: TRY400 - the error's text is enough
        return None
    return {"row_id": row_id, "stored": stored, "reencrypted": reencrypted}


def _record(session: Session, keyring: Keyring, column: StoredColumn, count: int, origin: RequestOrigin) -> None:
    target = ("encryption_key", keyring.current)
    audit.record(
        session, "encryption.reencrypted", actor_id=None, target=target, origin=origin, column=column.name, values=count
    )


def _compare_and_set(column: StoredColumn, dialect: sa.Dialect) -> sa.Update:
    """Return an update that writes a value if the stored one is still the one that was read."""
    stored = sa.bindparam("stored", type_=sa.Text)
    unchanged = column.value == stored
    if dialect.name in ("mysql", "mariadb"):  # their text comparison ignores case
        unchanged = sa.cast(column.value, sa.LargeBinary) == sa.cast(stored, sa.LargeBinary)
    update = sa.update(column.table).where(column.row_id == sa.bindparam("row_id"), unchanged)
    return update.values({column.value.name: sa.bindparam("reencrypted", type_=sa.Text)})


def _stored_columns() -> list[StoredColumn]:
    return [StoredColumn(column) for column in encrypted_columns(Model.metadata)]


def _keyring(session: Session) -> Keyring:
    return keyring_of(session.connection().dialect)
