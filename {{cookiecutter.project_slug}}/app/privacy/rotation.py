"""Which key each encrypted value is under, and bringing all of them under the one in use."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.database import Model, now
from app.privacy.models import EncryptionKey
from app.security.encryption import SEALED_IN_SQL, Keyring, Unreadable, encrypted_columns, keyring_of

logger = logging.getLogger(__name__)

BATCH = 500
PLAIN = "none"  # in place of a key's id: the value is from before the column was encrypted


@dataclass(frozen=True)
class KeyState:
    """A key, how long it has been in use in days, and how many values are under it, by column."""

    kid: str
    state: str  # in use, legacy, or unknown
    age: int | None
    due: bool
    values: Mapping[str, int]


@dataclass(frozen=True)
class Progress:
    """What a batch came to: how many values were encrypted anew, and how many could not be read."""

    column: str
    renewed: int
    unreadable: int


def note_key(session: Session) -> datetime:
    """When the key in use was first used, which is now if nobody has noted it."""
    kid = _keyring(session).current
    known = session.get(EncryptionKey, kid)
    if known is None:
        session.add(EncryptionKey(kid=kid))
        try:
            session.commit()
        except IntegrityError:  # somebody else noted it in this moment
            session.rollback()
        known = session.get_one(EncryptionKey, kid)
    return known.first_used_at


def age_in_days(since: datetime) -> int:
    """Whole days since then."""
    return (now() - since).days


def key_states(session: Session, days: int) -> list[KeyState]:
    """Every key that is configured or that values are under; the one in use is due after so many days."""
    keyring = _keyring(session)
    counts = values_by_key(session)
    first_used = {key.kid: key.first_used_at for key in session.scalars(sa.select(EncryptionKey))}
    states = []
    for kid in dict.fromkeys((*keyring.ids, *counts)):
        age = age_in_days(first_used[kid]) if kid in first_used else None
        due = kid == keyring.current and age is not None and age >= days
        states.append(KeyState(kid, _state(kid, keyring), age, due, counts.get(kid, {})))
    return states


def _state(kid: str, keyring: Keyring) -> str:
    if kid == keyring.current:
        return "in use"
    if kid == PLAIN:
        return "not encrypted"
    return "legacy" if kid in keyring.ids else "unknown"


def values_by_key(session: Session) -> dict[str, Counter[str]]:
    """How many values are under each key, by column."""
    counts: dict[str, Counter[str]] = {}
    for column in encrypted_columns(Model.metadata):
        table, _, value = _bare(column)
        kid = sa.case((value.like(SEALED_IN_SQL), sa.func.substr(value, 5, 8)), else_=PLAIN).label("kid")
        query = sa.select(kid, sa.func.count()).select_from(table).where(value.is_not(None)).group_by(sa.text("kid"))
        for found, count in session.execute(query):
            counts.setdefault(found, Counter())[str(column)] = count
    return counts


def outdated(session: Session) -> int:
    """How many values are not under the key in use."""
    current = _keyring(session).current
    return sum(counter.total() for kid, counter in values_by_key(session).items() if kid != current)


def reencrypt(session: Session, origin: audit.Origin) -> Iterator[Progress]:
    """Bring every value under the key in use, batch by batch, each committed before it is told of.

    What is left to do is read off the values themselves, so that this can be ended at any point and begun again. A
    value that changes between being read and being written is left as it then is.
    """
    for column in encrypted_columns(Model.metadata):
        yield from _reencrypt_column(session, column, origin)


def _reencrypt_column(session: Session, column: sa.Column[Any], origin: audit.Origin) -> Iterator[Progress]:
    keyring = _keyring(session)
    table, number, value = _bare(column)
    old = sa.select(number, value).where(value.is_not(None), value.not_like(f"enc:{keyring.current}:%"))
    swap = _swap(session, table, number, value)
    batch = session.execute(old.order_by(number).limit(BATCH)).all()
    while batch:
        renewed = [change for row in batch if (change := _renew(keyring, column, row))]
        if renewed:
            session.execute(swap, renewed)
            _record(session, keyring, column, len(renewed), origin)
        session.commit()
        yield Progress(str(column), len(renewed), len(batch) - len(renewed))
        batch = session.execute(old.where(number > batch[-1][0]).order_by(number).limit(BATCH)).all()


def _renew(keyring: Keyring, column: sa.Column[Any], row: Sequence[Any]) -> dict[str, Any] | None:
    number, stored = row
    try:
        return {"row": number, "stored": stored, "renewed": keyring.encrypt(keyring.decrypt(stored))}
    except Unreadable as error:
        logger.error("%s of row %s stays as it is: %s", column, number, error)  # noqa: TRY400 - the message says it all
        return None


def _record(session: Session, keyring: Keyring, column: sa.Column[Any], count: int, origin: audit.Origin) -> None:
    target = ("encryption_key", keyring.current)
    audit.record(
        session, "encryption.renewed", actor_id=None, target=target, origin=origin, column=str(column), values=count
    )


def _swap(session: Session, table: sa.TableClause, number: Any, value: Any) -> sa.Update:
    """Write a value if it is still the one that was read."""
    stored: Any = sa.bindparam("stored", type_=sa.Text)
    same = value == stored
    if _dialect(session).name in ("mysql", "mariadb"):  # to which texts are equal that differ in upper and lower case
        same = sa.cast(value, sa.LargeBinary) == sa.cast(stored, sa.LargeBinary)
    unchanged = sa.update(table).where(number == sa.bindparam("row"), same)
    return unchanged.values({value.name: sa.bindparam("renewed", type_=sa.Text)})


def _bare(column: sa.Column[Any]) -> tuple[sa.TableClause, Any, Any]:
    """The column's table, its key and the column, as the database has them: ciphertext, and no defaults on update."""
    (key,) = column.table.primary_key.columns
    table = sa.table(column.table.name, sa.column(key.name, key.type), sa.column(column.name, sa.Text))
    return table, table.c[key.name], table.c[column.name]


def _keyring(session: Session) -> Keyring:
    return keyring_of(_dialect(session))


def _dialect(session: Session) -> sa.Dialect:
    return session.connection().dialect
