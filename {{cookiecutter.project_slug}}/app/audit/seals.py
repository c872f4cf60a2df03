"""Seals of the audit log: signed lists of its entries, so that a change by the owner of the database is found.

Each seal contains the hash of the previous one, whose signature was valid when the seal was made: so a signature
confirms all seals before it, also those of earlier keys.
Writers of entries do not wait for a seal: it covers only entries that are older than the delay and than every
transaction that is still writing entries, because an entry becomes visible when its transaction ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.audit.models import AuditLog, AuditSeal
from app.platform.database.base import utc_now
from app.platform.security import signatures
from app.platform.security.signatures import InvalidSignature, UnknownKey

# The columns of an entry that each version of the seals hashes; a new column needs a new version.
COLUMNS: Mapping[int, tuple[str, ...]] = {
    1: (
        *("id", "created_at", "actor_id", "action", "target_type", "target_id"),
        *("address", "request_id", "details"),
    ),
}
VERSION = 1
BATCH = 1000  # entries of a seal
HASH_DIGITS = 32  # of an entry: 128 bits
HEARTBEAT = timedelta(hours=1)  # without new entries, an empty seal shows that the chain was not cut
SKEW = timedelta(minutes=1)  # tolerated between the clocks of the service and of the database
FUTURE = timedelta(minutes=10)  # an entry further ahead of the clock has a wrong time and does not delay its seal
MAX_GAP = 10**12  # between the ids of entries; an entry further ahead is not sealed, as no later one could be
MAX_ID = 2**63 - 1

ACCEPT_KEY = "flask audit-log seal --accept-key ID"
FORGED = "Find out who used the database; docs/deployment.md (Audit log) says how its owner removes a seal."
UNKNOWN_KEY = (
    "If that was a key of this service, add its secret to LEGACY_ENCRYPTION_KEYS, and run: flask audit-log seal. "
    f"If its secret is lost, compare the log with a backup, and run: {ACCEPT_KEY}. Otherwise, the seal was forged."
)

OLDEST_WRITER = sa.text(
    "SELECT min(a.xact_start) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.relation = CAST(:table AS regclass) AND l.mode = 'RowExclusiveLock' AND a.datname = current_database() "
    "AND a.pid <> pg_backend_pid()"
)


class SealSigner(signatures.Signer):
    """Signs seals."""

    purpose = b"audit seals"


class UnconfirmedSeal(Exception):
    """The newest seal has no signature that can be checked; the message says what to do."""


@dataclass(frozen=True)
class Link:
    """A place in the chain: a seal, the last entry that it covers, and the hash that the next seal contains."""

    seal_id: int = 0
    last_id: int = 0
    hash: str = ""
    created_at: datetime | None = None
    key_id: str = ""


def seal(session: Session, signer: SealSigner, delay: timedelta, accepted_key: str = "") -> Iterator[int]:
    """Seal the entries that are older than the delay; yields the number of entries after the commit of each seal.

    Raises `UnconfirmedSeal` as `confirmed_link` does. The first seal of a new key may be empty: it confirms those of
    the earlier key, which is needed no longer.
    """
    previous = confirmed_link(session, signer, accepted_key)
    first_unsealable = _first_unsealable(session, previous, delay)
    while entries := _entries_after(session, previous, first_unsealable):
        if not _add(session, signer, previous, entries):
            return  # another process seals
        yield len(entries)
        previous = confirmed_link(session, signer)
    if _is_due(previous, signer):
        _add(session, signer, previous, [])
    session.rollback()


def newest_link(session: Session) -> Link:
    """Return the end of the chain, without a check of its signature."""
    newest = _newest_seal(session)
    return link_of(newest) if newest else Link()


def confirmed_link(session: Session, signer: SealSigner, accepted_key: str = "") -> Link:
    """Return the end of the chain; raises `UnconfirmedSeal` unless this service signed it.

    `accepted_key`: the id of a lost key, whose signature an operator accepts without a check.
    """
    newest = _newest_seal(session)
    if newest is None:
        return Link()
    try:
        signer.check(signed_content(newest), newest.key_id, newest.signature)
    except InvalidSignature as error:
        if not isinstance(error, UnknownKey):
            raise UnconfirmedSeal(f"Seal {newest.id} was forged or changed: {error}. {FORGED}") from None
        if newest.key_id != accepted_key:
            raise UnconfirmedSeal(f"Nothing confirms seal {newest.id}: {error}. {UNKNOWN_KEY}") from None
    return link_of(newest)


def has_seal_before(session: Session, after: int, time: datetime) -> bool:
    """Whether a seal with a larger id than `after` is older than this time."""
    query = sa.select(AuditSeal.id).where(AuditSeal.id > after, AuditSeal.created_at < time).limit(1)
    return session.scalar(query) is not None


def seal_query() -> sa.Select[*tuple[Any, ...]]:
    """Return the query of all seals, as rows."""
    return sa.select(*sa.inspect(AuditSeal).columns)


def sealable(link: Link) -> sa.ColumnElement[bool]:
    """Return the condition of the entries after a seal that later seals can cover."""
    return sa.and_(AuditLog.id > link.last_id, AuditLog.id <= min(link.last_id + MAX_GAP, MAX_ID))


def entry_query() -> sa.Select[*tuple[Any, ...]]:
    """Return the query of all entries, as rows."""
    return sa.select(*sa.inspect(AuditLog).columns)


def link_of(row: Any) -> Link:
    """Return the place of a seal in the chain."""
    content = json.dumps(signed_content(row), sort_keys=True).encode()
    return Link(row.id, row.last_id, hashlib.sha256(content).hexdigest(), row.created_at, row.key_id)


def signed_content(row: Any) -> dict[str, Any]:
    """Return what the signature of a seal covers."""
    members = {name: getattr(row, name) for name in ("id", "version", "last_id", "entries", "previous")}
    return {**members, "created_at": row.created_at.isoformat()}


def entry_hash(entry: Any, version: int) -> str:
    """Return the hash of the columns of an entry, `HASH_DIGITS` hexadecimal digits of SHA-256."""
    values = [getattr(entry, name) for name in COLUMNS[version]]
    content = json.dumps(values, sort_keys=True, default=datetime.isoformat)
    return hashlib.sha256(content.encode()).hexdigest()[:HASH_DIGITS]


def listed_entries(row: Any) -> dict[int, str]:
    """Return the hashes of the entries that a seal lists, by id."""
    pairs = (item.split(":") for item in row.entries.split())
    return {int(entry_id): digest for entry_id, digest in pairs}


def _newest_seal(session: Session) -> Any:
    return session.execute(seal_query().order_by(AuditSeal.id.desc()).limit(1)).first()


def _is_due(newest: Link, signer: SealSigner) -> bool:
    """Whether to add an empty seal."""
    if newest.created_at is None or newest.key_id != signer.current:
        return True
    return utc_now() - newest.created_at >= HEARTBEAT


def _add(session: Session, signer: SealSigner, previous: Link, entries: Sequence[Any]) -> bool:
    """Add the next seal and commit; return False if another process has added it."""
    new = AuditSeal(
        id=previous.seal_id + 1,
        created_at=utc_now(),
        version=VERSION,
        last_id=entries[-1].id if entries else previous.last_id,
        entries=" ".join(f"{entry.id}:{entry_hash(entry, VERSION)}" for entry in entries),
        previous=previous.hash,
        key_id=signer.current,
    )
    new.signature = signer.signature(signed_content(new))
    session.add(new)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        return False
    session.expunge(new)
    return True


def _entries_after(session: Session, previous: Link, first_unsealable: int | None) -> Sequence[Any]:
    query = entry_query().where(sealable(previous)).order_by(AuditLog.id).limit(BATCH)
    if first_unsealable is not None:
        query = query.where(AuditLog.id < first_unsealable)
    return session.execute(query).all()


def _first_unsealable(session: Session, previous: Link, delay: timedelta) -> int | None:
    """Return the first entry that is too new: an entry with a smaller id may become visible later."""
    now = utc_now()
    cutoff = min(now - delay, _oldest_writer(session) or now)
    too_new = AuditLog.created_at.between(cutoff, now + FUTURE)
    return session.scalar(sa.select(sa.func.min(AuditLog.id)).where(sealable(previous), too_new))


def _oldest_writer(session: Session) -> datetime | None:
    """Return when the oldest transaction that writes entries began; None if there is none, or the server cannot say.

    On MariaDB, only administrators can query it. There and on SQLite, the delay must be longer than every transaction.
    """
    if session.connection().dialect.name != "postgresql":
        return None
    oldest: datetime | None = session.scalar(OLDEST_WRITER, {"table": AuditLog.__tablename__})
    return oldest and oldest - SKEW
