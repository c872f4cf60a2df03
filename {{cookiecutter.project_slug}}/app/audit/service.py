"""Rules and queries of the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.audit import seals
from app.audit.models import AuditLog
from app.platform.api.pagination import CursorValue, newest_first, read_from_index
from app.platform.personal_data import row_as_dict
from app.platform.web.client_address import RequestOrigin

ERASED = "user.erased"  # the action of an entry about an erased user
ERASED_ENTRIES = 100  # about one user that are read; there is one, or a few if an id was used again after a restore
READ = "admin.read"
UNRECORDED = ("email", "limit", "cursor")  # members of a query
EXPORT_PAGE_SIZE = 1000
OF_OTHERS = ("actor_id", "address", "request_id")  # in an entry about a user, these belong to the actor


def record(
    session: Session,
    action: str,
    *,
    actor_id: int | None,
    target: tuple[str, int | str],
    origin: RequestOrigin,
    **details: Any,
) -> None:
    """Add an entry to the session: it is committed together with the action that it records, or not at all."""
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


def erased_details(session: Session, user_id: int) -> Sequence[str]:
    """Return the details of the newest entries about the erasure of a user, as JSON texts."""
    about = (AuditLog.action == ERASED, AuditLog.target_type == "user", AuditLog.target_id == str(user_id))
    query = sa.select(sa.cast(AuditLog.details, sa.Text)).where(*about)
    return session.scalars(query.order_by(AuditLog.created_at.desc()).limit(ERASED_ENTRIES)).all()


def needs_earlier_key(session: Session, secrets: Sequence[str]) -> bool:
    """Whether the key of another secret than the first signed the newest seal, so that the key must be kept."""
    newest = seals.newest_link(session)
    return newest.created_at is not None and newest.key_id != seals.SealSigner(secrets).current


def record_read(session: Session, what: str, query: Mapping[str, Any], *, actor_id: int, origin: RequestOrigin) -> None:
    """Record that an admin read a list, with the filters of the query, and commit. An e-mail is not recorded."""
    shown = {name: value for name, value in query.items() if name not in UNRECORDED}
    filters = {name: value if isinstance(value, bool) else str(value) for name, value in shown.items()}
    if "email" in query:
        filters["email"] = "one address"
    record(session, READ, actor_id=actor_id, target=("list", what), origin=origin, filters=filters)
    session.commit()


def entries(
    session: Session,
    *,
    limit: int,
    cursor: CursorValue | None = None,
    actor_id: int | None = None,
    action: str | None = None,
    target: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[AuditLog]:
    """Return up to `limit` + 1 entries after the cursor, newest first, that match every given filter.

    `target`: the kind and the id, like `user:7`. `since` is included, `until` is not.
    """
    query = sa.select(AuditLog)
    if actor_id is not None:
        query = query.where(AuditLog.actor_id == actor_id)
    if action is not None:
        query = query.where(AuditLog.action == action)
    if action is not None and actor_id is None and target is None:
        query = read_from_index(query, AuditLog, "ix_audit_logs_action_created_at")
    if target is not None:
        kind, _, target_id = target.partition(":")
        query = query.where(AuditLog.target_type == kind, AuditLog.target_id == target_id)
    if since is not None:
        query = query.where(AuditLog.created_at >= since)
    if until is not None:
        query = query.where(AuditLog.created_at < until)
    return session.scalars(newest_first(query, AuditLog.created_at, AuditLog.id, limit, cursor)).all()


def export(session: Session, user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the entries of a user's actions, then those of others about the user, each newest first, page by page.

    Entries before an erasure of the same id belong to another user: ids can be reused after a restore of the database.
    """
    erased = sa.and_(AuditLog.action == ERASED, AuditLog.target_type == "user", AuditLog.target_id == str(user_id))
    last_erasure = session.scalar(sa.select(sa.func.max(AuditLog.id)).where(erased)) or 0
    for page in _pages(session, actor_id=user_id):
        # A list, not a generator: the rows may expire once the consumer has the first entry.
        yield from [row_as_dict(entry) for entry in page if entry.id > last_erasure]
    for page in _pages(session, target=f"user:{user_id}"):
        about = [entry for entry in page if entry.id > last_erasure and entry.actor_id != user_id]
        yield from [row_as_dict(entry, exclude=OF_OTHERS) for entry in about]


def _pages(session: Session, **filters: Any) -> Iterator[Sequence[AuditLog]]:
    cursor = None
    while page := entries(session, limit=EXPORT_PAGE_SIZE, cursor=cursor, **filters):
        cursor = (page[-1].created_at, page[-1].id)
        yield page
