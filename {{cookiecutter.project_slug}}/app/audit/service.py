"""Writing to the audit log, and reading it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit.models import AuditLog
from app.pagination import before
from app.personal_data import tell_row

ERASED = "user.erased"
PAGE = 1000


@dataclass(frozen=True)
class Origin:
    """Where a request came from."""

    address: str | None
    request_id: str | None


def record(
    session: Session,
    action: str,
    *,
    actor_id: int | None,
    target: tuple[str, int | str],
    origin: Origin,
    **details: Any,
) -> None:
    """Add an entry to the session, so that it is committed with what it tells of, or not at all."""
    target_type, target_id = target
    session.add(
        AuditLog(
            action=action,
            actor_id=actor_id,
            target_type=target_type,
            target_id=str(target_id),
            address=origin.address,
            request_id=origin.request_id,
            details=details,
        )
    )


def entries(
    session: Session,
    *,
    limit: int,
    cursor: tuple[datetime, int] | None = None,
    actor_id: int | None = None,
    action: str | None = None,
    since: datetime | None = None,
) -> Sequence[AuditLog]:
    """Up to `limit` + 1 entries, newest first, from the cursor on; of one actor, of one action, not before a time."""
    query = sa.select(AuditLog)
    if actor_id is not None:
        query = query.where(AuditLog.actor_id == actor_id)
    if action is not None:
        query = query.where(AuditLog.action == action)
    if since is not None:
        query = query.where(AuditLog.created_at >= since)
    if cursor:
        query = query.where(before(AuditLog.created_at, AuditLog.id, cursor))
    return session.scalars(query.order_by(AuditLog.created_at.desc(), AuditLog.id.desc()).limit(limit + 1)).all()


def tell(session: Session, user_id: int) -> Iterator[dict[str, Any]]:
    """What a user did, newest first, read page by page.

    What came before an erasure under the same id was somebody else's doing: ids are given out again after a restore.
    """
    erased = sa.and_(AuditLog.action == ERASED, AuditLog.target_type == "user", AuditLog.target_id == str(user_id))
    since = session.scalar(sa.select(sa.func.max(AuditLog.id)).where(erased)) or 0
    cursor = None
    while page := entries(session, limit=PAGE, cursor=cursor, actor_id=user_id):
        cursor = (page[-1].created_at, page[-1].id)
        yield from [tell_row(entry) for entry in page if entry.id > since]  # all before the first: then they may expire
