"""Registration and verification of e-mail addresses; accounts whose address is never confirmed are deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import erasure, personal_data, service
from app.accounts.models import EmailChange, User
from app.audit import service as audit
from app.platform.database.base import Model, lock_sqlite, rows_changed, utc_now
from app.platform.security import credentials
from app.platform.security.passwords import verify_password
from app.platform.web.client_address import RequestOrigin

BATCH = 100  # accounts that one query finds


class VerificationRejected(Exception):
    """The address is verified already, or the account has another one, is suspended, or no longer exists."""


def register(
    session: Session, *, email: str, password: str, origin: RequestOrigin, display_name: str | None = None
) -> Sequence[int]:
    """Create an account that is not verified; return the ids of the sessions that ended, to be revoked.

    An account that the address has already does not change, unless it is not verified and has another password: either
    of the two registrants may be a stranger. It then keeps neither password nor name, and its sessions end. Each case
    computes one hash, so that the time does not show which accounts exist.
    """
    user = service.find_by_email(session, email)
    if user is None:
        with suppress(service.EmailTaken):
            service.register(
                session, email=email, password=password, display_name=display_name, verified=False, origin=origin
            )
            return ()
        user = service.find_by_email(session, email)  # of a concurrent request
    if user is None or verify_password(password, user.password_hash):
        return ()
    return _remove_password(session, user.id, origin)


def _remove_password(session: Session, user_id: int, origin: RequestOrigin) -> Sequence[int]:
    lock_sqlite(session)
    unverified = sa.select(User).where(
        User.id == user_id, User.unverified_since.is_not(None), User.suspended_at.is_(None)
    )
    user = session.scalar(unverified.with_for_update().execution_options(populate_existing=True))
    if user is None:
        session.rollback()
        return ()
    credentials.revoke_all(session, user_id, actor_id=None, origin=origin)
    user.password_hash, user.display_name, user.unverified_since = "", None, utc_now()
    ended = service.end_sessions(session, user_id)
    audit.record(session, "user.registered_again", actor_id=None, target=("user", user_id), origin=origin)
    session.commit()
    return ended


def fingerprint(user: User) -> str:
    """Return what binds a link to one registration of one address."""
    return hashlib.sha256(f"{user.email} {user.unverified_since}".encode()).hexdigest()[:32]


def verify(session: Session, *, user_id: int, expected: str, origin: RequestOrigin) -> User:
    """Mark the address of a user as verified, if the link has this fingerprint. Raises `VerificationRejected`."""
    user = service.get(session, user_id)
    if user is None or user.unverified_since is None or fingerprint(user) != expected:
        raise VerificationRejected
    registration = (User.email == user.email, User.unverified_since == user.unverified_since)
    unchanged = sa.update(User).where(User.id == user_id, *registration, User.suspended_at.is_(None))
    if rows_changed(session, unchanged.values(unverified_since=None)) != 1:
        session.rollback()
        raise VerificationRejected
    audit.record(session, "user.email_verified", actor_id=user_id, target=("user", user_id), origin=origin)
    session.commit()
    return user


def accept(session: Session, user: User, origin: RequestOrigin) -> None:
    """Count the address of a user as verified for good, and commit: without a mail server, its account gets data."""
    user.unverified_since = None
    target, reason = ("user", user.id), "there is no mail server"
    audit.record(session, "user.email_verified", actor_id=user.id, target=target, origin=origin, reason=reason)
    session.commit()


def _is_unused() -> sa.ColumnElement[bool]:
    """Return the condition that a user was never verified and has no data but sessions; admins are never unused."""
    references = [key for table in Model.metadata.sorted_tables for key in table.foreign_keys]
    of_features = [key.parent for key in references if key.target_fullname == "users.id" and not _is_own(key)]
    has_data = sa.or_(sa.false(), *(sa.exists().where(column == User.id) for column in of_features))
    return sa.and_(User.unverified_since.is_not(None), User.role == "user", sa.not_(has_data))


def _is_own(key: sa.ForeignKey) -> bool:
    return key.parent.table.name in personal_data.TABLES


def delete_unverified(session: Session, before: datetime, origin: RequestOrigin) -> Iterator[Sequence[int]]:
    """Delete each account that was registered before this time, never verified and never used.

    Yields after the commit of each, with the ids of its sessions, which ended and which foreign keys delete.
    """
    unverified = sa.and_(User.unverified_since < before, _is_unused())
    while user_ids := session.scalars(
        sa.select(User.id).where(unverified).order_by(User.unverified_since).limit(BATCH)
    ).all():
        for user_id in user_ids:
            locked = sa.select(User).where(User.id == user_id, unverified).with_for_update()
            user = session.scalar(locked.execution_options(populate_existing=True))
            if user is not None:
                ended = _delete(session, user, origin, "the e-mail was never confirmed")
                session.commit()
                yield ended


def is_free(session: Session, email: str) -> bool:
    """Whether an address has no account, or one that `release` deletes."""
    taken = sa.select(User.id).where(User.email == email, sa.not_(_can_be_released()))
    return session.scalar(taken) is None


def release(session: Session, email: str, origin: RequestOrigin) -> Sequence[int]:
    """Delete the unused account of an address that another user has proved; the caller commits.

    Returns the ids of its sessions, which ended.
    """
    unused = sa.select(User).where(User.email == email, _can_be_released()).with_for_update()
    user = session.scalar(unused.execution_options(populate_existing=True))
    return _delete(session, user, origin, "another user confirmed the e-mail") if user else ()


def _can_be_released() -> sa.ColumnElement[bool]:
    return sa.and_(_is_unused(), User.suspended_at.is_(None))


def _delete(session: Session, user: User, origin: RequestOrigin, reason: str) -> Sequence[int]:
    ended = erasure.begin_erasure(session, user, actor_id=None, origin=origin)
    session.flush()
    audit.record(session, audit.ERASED, actor_id=None, target=("user", user.id), origin=origin, reason=reason)
    erasure.delete(session, user.id)
    return ended


def delete_old_changes(session: Session, before: datetime) -> None:
    """Delete the changes of an e-mail that were not confirmed in time, and commit."""
    session.execute(sa.delete(EmailChange).where(EmailChange.created_at < before))
    session.commit()
