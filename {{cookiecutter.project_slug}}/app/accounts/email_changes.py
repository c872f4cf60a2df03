"""Changes of an e-mail: confirmed at the old and at the new address, or at once without a mail server."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import service, verification
from app.accounts.models import EmailChange, User
from app.audit import service as audit
from app.platform.database.base import rows_changed, utc_now
from app.platform.web.client_address import RequestOrigin

Side = Literal["old", "new"]  # which address a link was sent to


@dataclass(frozen=True)
class Changed:
    """A change that was made: the user, the old e-mail, and the ids of the sessions that ended."""

    user: User
    old_email: str
    ended: Sequence[int]


class ChangeRejected(Exception):
    """The link has been used, the change has ended, or the account is suspended or no longer exists."""


def request_change(
    session: Session,
    user_id: int,
    email: str,
    *,
    actor_id: int,
    session_id: int | None,
    origin: RequestOrigin,
    needs_old: bool = True,
) -> None:
    """Store a change that waits for its confirmation, in place of an earlier one; commits.

    Whether the new address has an account shows only at its confirmation. `needs_old`: whether the old address must
    confirm the change too. Raises `NoSuchUser`.
    """
    _lock(session, user_id)
    session.execute(sa.delete(EmailChange).where(EmailChange.user_id == user_id))
    change = EmailChange(user_id=user_id, email=email, link_id=secrets.token_hex(16), session_id=session_id)
    change.old_confirmed_at = None if needs_old else utc_now()
    session.add(change)
    _record(session, "user.email_change_requested", user_id, actor_id, origin)
    session.commit()


def find(session: Session, user_id: int) -> EmailChange | None:
    """Return the change of a user that waits for its confirmation."""
    query = sa.select(EmailChange).where(EmailChange.user_id == user_id)
    return session.scalar(query.execution_options(populate_existing=True))


def confirm(session: Session, *, user_id: int, link_id: str, side: str, origin: RequestOrigin) -> Changed | None:
    """Confirm a change at one address; at the second one, change the e-mail.

    Returns None while the other address has not confirmed it. An unused account of the new address that was never
    verified is deleted: its user has not proved the address. Raises `ChangeRejected`, or `EmailTaken` if the new
    address has another account, which ends the change.
    """
    try:
        user = _lock(session, user_id)
    except service.NoSuchUser:
        raise ChangeRejected from None
    if user.suspended_at:
        session.rollback()
        raise ChangeRejected
    change = _mark_confirmed(session, user_id, link_id, side)
    if side == "new" and not verification.is_free(session, change.email):
        session.delete(change)
        session.commit()
        raise service.EmailTaken
    if change.old_confirmed_at is None or change.new_confirmed_at is None:
        session.commit()
        return None
    old_email = user.email
    return Changed(user, old_email, _apply(session, user_id, change, origin))


def _mark_confirmed(session: Session, user_id: int, link_id: str, side: str) -> EmailChange:
    """Mark a change as confirmed at one address, and read it after that: of two requests, the later one sees both."""
    confirmed_at = getattr(EmailChange, f"{side}_confirmed_at")
    waiting = (EmailChange.user_id == user_id, EmailChange.link_id == link_id, confirmed_at.is_(None))
    marked = rows_changed(session, sa.update(EmailChange).where(*waiting).values({confirmed_at: utc_now()}))
    change = find(session, user_id) if marked else None
    if change is None:
        session.rollback()
        raise ChangeRejected
    return change


def _apply(session: Session, user_id: int, change: EmailChange, origin: RequestOrigin) -> Sequence[int]:
    email, session_id = change.email, change.session_id
    try:
        return [
            *verification.release(session, email, origin),
            *change_now(session, user_id, email, actor_id=user_id, session_id=session_id, origin=origin),
        ]
    except service.EmailTaken:
        session.execute(sa.delete(EmailChange).where(EmailChange.user_id == user_id))
        session.commit()
        raise


def change_now(
    session: Session, user_id: int, email: str, *, actor_id: int, session_id: int | None, origin: RequestOrigin
) -> Sequence[int]:
    """Change the e-mail, which counts as verified, end the user's other sessions and return their ids.

    Raises `NoSuchUser` or `EmailTaken`.
    """
    user = _lock(session, user_id)
    user.email, user.unverified_since = email, None
    try:
        session.flush()
    except IntegrityError:  # the unique constraint also decides between concurrent requests
        session.rollback()
        raise service.EmailTaken from None
    ended = service.end_sessions(session, user_id, exclude=session_id)
    _record(session, "user.email_changed", user_id, actor_id, origin)
    session.commit()
    return ended


def _lock(session: Session, user_id: int) -> User:
    """Lock and return a user; raises `NoSuchUser`. Not `service.lock`, as the e-mail is a key of the table."""
    query = sa.select(User).where(User.id == user_id).execution_options(populate_existing=True)
    user = session.scalar(query.with_for_update())
    if user is None or service.is_being_erased(user):
        session.rollback()
        raise service.NoSuchUser
    return user


def _record(session: Session, action: str, user_id: int, actor_id: int, origin: RequestOrigin) -> None:
    audit.record(session, action, actor_id=actor_id, target=("user", user_id), origin=origin)
