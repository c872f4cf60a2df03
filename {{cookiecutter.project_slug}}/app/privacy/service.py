"""Rules and queries of erasures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.audit import service as audit
from app.platform.personal_data import PersonalDataSource
from app.platform.web.client_address import RequestOrigin
from app.privacy import tombstones
from app.privacy.models import Erasure


def erase(session: Session, user_id: int, sources: Iterable[PersonalDataSource], *, origin: RequestOrigin) -> Erasure:
    """Erase a user, all but the audit log, and commit; returns the tombstone with the ids of the sessions to revoke.

    Raises `NoSuchUser`, and `LastAdmin` if no other admin remains.
    """
    user, is_last_admin = accounts.lock_user(session, user_id)
    if is_last_admin:
        raise accounts.LastAdmin
    session_ids = list(accounts.end_sessions(session, user.id))
    erasure = Erasure(user_id=user.id, user_created_at=user.created_at, session_ids=session_ids)
    session.add(erasure)
    _erase(session, user_id, sources)
    audit.record(session, audit.ERASED, actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return erasure


def reapply_erasures(
    session: Session, sources: Iterable[PersonalDataSource], *, origin: RequestOrigin
) -> tuple[int, Sequence[int]]:
    """Erase every user that has a tombstone and was restored from a backup.

    Returns the number of these users, and the ids of the sessions to revoke.
    """
    user_ids, session_ids = tombstones.restored_users(session), list[int]()
    for user_id in user_ids:
        session_ids += accounts.end_sessions(session, user_id)
        _erase(session, user_id, sources)
        audit.record(
            session,
            audit.ERASED,
            actor_id=None,
            target=("user", user_id),
            origin=origin,
            reason="restored from a backup",
        )
        session.commit()
    return len(user_ids), session_ids


def sessions_erased_since(session: Session, time: datetime) -> Sequence[int]:
    """Return the ids of the sessions that an erasure after this time ended."""
    return list(chain(*session.scalars(sa.select(Erasure.session_ids).where(Erasure.erased_at > time))))


def _erase(session: Session, user_id: int, sources: Iterable[PersonalDataSource]) -> None:
    for source in sources:
        if source.erase:
            source.erase(session, user_id)
    accounts.delete(session, user_id)
