"""Rules and queries of erasures."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.audit import service as audit
from app.platform.database.base import utc_now
from app.platform.personal_data import PersonalDataSource
from app.platform.web.client_address import RequestOrigin
from app.privacy import tombstones
from app.privacy.models import Erasure
from app.privacy.signatures import signer


@dataclass
class Unfinished:
    """Users with a tombstone that still exist, by id: those restored from a backup, and those not deleted completely.

    `kept`: the only admin is not erased. `session_ids`: the sessions to revoke.
    """

    restored: list[int] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    session_ids: list[int] = field(default_factory=list)


def begin_erasure(session: Session, user_id: int, *, origin: RequestOrigin) -> Erasure:
    """End a user's access, create the tombstone with the ids of the sessions to revoke, and commit.

    `finish_erasure` then deletes the data. Raises `NoSuchUser`, and `LastAdmin` if no other admin remains.
    """
    user, is_last_admin = accounts.lock_user(session, user_id)
    if is_last_admin:
        raise accounts.LastAdmin
    session_ids = list(accounts.begin_erasure(session, user, actor_id=user_id, origin=origin))
    erasure = _tombstone(session, user.id, user.created_at)
    erasure.session_ids = session_ids
    tombstone = tombstones.sign(signer(), erasure)
    audit.record(session, audit.ERASED, actor_id=user_id, target=("user", user_id), origin=origin, **tombstone)
    session.commit()
    return erasure


def _tombstone(session: Session, user_id: int, created_at: datetime) -> Erasure:
    """Return the tombstone of a user: a new one, or that of an admin whom a backup restored and who was kept."""
    identity = (Erasure.user_id == user_id, Erasure.user_created_at == created_at)
    erasure = session.scalar(sa.select(Erasure).where(*identity))
    if erasure is None:
        erasure = Erasure(user_id=user_id, user_created_at=created_at, erased_at=utc_now(), session_ids=[])
        session.add(erasure)
    return erasure


def finish_erasure(
    session: Session, user_id: int, sources: Collection[PersonalDataSource], *, deadline: float = math.inf
) -> bool:
    """Delete the data of a user in portions, each with its own commit, and then the user; all but the audit log.

    Returns False if the deadline (monotonic seconds) passed first. Another call continues.
    """
    for source in sources:
        for _ in source.erase(session, user_id) if source.erase else ():
            session.commit()
            if time.monotonic() > deadline:
                return False
    accounts.delete(session, user_id)
    session.commit()
    return True


def record_export(session: Session, user_id: int, *, encrypted: bool, origin: RequestOrigin) -> None:
    """Record that a user exports the user's data, and commit."""
    target = ("user", user_id)
    audit.record(session, "user.data_exported", actor_id=user_id, target=target, origin=origin, encrypted=encrypted)
    session.commit()


def begin_erasures_again(session: Session, *, origin: RequestOrigin) -> Unfinished:
    """Begin the erasure of every user that a backup restored, and commit; `finish_erasure` then deletes their data."""
    found = Unfinished()
    for user_id in tombstones.existing_users(session):
        if accounts.get(session, user_id) is None:
            found.begun.append(user_id)
            continue
        with suppress(accounts.NoSuchUser):  # another process has begun the erasure
            user, is_last_admin = accounts.lock_user(session, user_id)
            if is_last_admin:
                found.kept.append(user_id)
            else:
                found.session_ids += accounts.begin_erasure(session, user, actor_id=None, origin=origin)
                reason = "restored from a backup"
                target = ("user", user_id)
                audit.record(session, audit.ERASED, actor_id=None, target=target, origin=origin, reason=reason)
                found.restored.append(user_id)
        session.commit()
    return found


def sessions_erased_since(session: Session, time: datetime) -> Sequence[int]:
    """Return the ids of the sessions that an erasure after this time ended."""
    return list(chain(*session.scalars(sa.select(Erasure.session_ids).where(Erasure.erased_at > time))))
