"""Verification of e-mail addresses; accounts whose address is never confirmed are deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import erasure, service
from app.accounts.models import EmailChange, User
from app.audit import service as audit
from app.platform.database.base import rows_changed
from app.platform.web.client_address import RequestOrigin

BATCH = 100  # accounts that one query finds


class VerificationRejected(Exception):
    """The address is verified already, or the account has another one, or no longer exists."""


def fingerprint(user: User) -> str:
    """Return what binds a link to one registration of one address."""
    return hashlib.sha256(f"{user.email} {user.unverified_since}".encode()).hexdigest()[:32]


def verify(session: Session, *, user_id: int, expected: str, origin: RequestOrigin) -> User:
    """Mark the address of a user as verified, if the link has this fingerprint. Raises `VerificationRejected`."""
    user = service.get(session, user_id)
    if user is None or user.unverified_since is None or fingerprint(user) != expected:
        raise VerificationRejected
    unchanged = sa.update(User).where(
        User.id == user_id, User.email == user.email, User.unverified_since == user.unverified_since
    )
    if rows_changed(session, unchanged.values(unverified_since=None)) != 1:
        session.rollback()
        raise VerificationRejected
    audit.record(session, "user.email_verified", actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return user


def delete_unverified(session: Session, before: datetime, origin: RequestOrigin) -> Iterator[Sequence[int]]:
    """Delete each account that was registered before this time and never verified.

    Yields after the commit of each, with the ids of its sessions, which ended. Such an account has no data but its
    sessions, which foreign keys delete. A user whom an admin made an admin stays.
    """
    unverified = sa.and_(User.unverified_since < before, User.role == "user")
    while user_ids := session.scalars(
        sa.select(User.id).where(unverified).order_by(User.unverified_since).limit(BATCH)
    ).all():
        for user_id in user_ids:
            locked = sa.select(User).where(User.id == user_id, unverified).with_for_update()
            user = session.scalar(locked.execution_options(populate_existing=True))
            if user is not None:
                yield _delete(session, user, origin)


def _delete(session: Session, user: User, origin: RequestOrigin) -> Sequence[int]:
    ended = erasure.begin_erasure(session, user, actor_id=None, origin=origin)
    session.flush()
    target, reason = ("user", user.id), "the e-mail was never confirmed"
    audit.record(session, audit.ERASED, actor_id=None, target=target, origin=origin, reason=reason)
    erasure.delete(session, user.id)
    session.commit()
    return ended


def delete_old_changes(session: Session, before: datetime) -> None:
    """Delete the changes of an e-mail that were not confirmed in time, and commit."""
    session.execute(sa.delete(EmailChange).where(EmailChange.created_at < before))
    session.commit()
