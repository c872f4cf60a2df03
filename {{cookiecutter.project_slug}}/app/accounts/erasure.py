"""A user that is being erased: first all access ends and the personal data goes, then the rows are deleted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import RecoveryCode, User, UserTotp
from app.accounts.user_sessions import end_sessions
from app.platform.security import credentials
from app.platform.web.client_address import RequestOrigin

SUFFIX = "@erased.invalid"  # of the e-mail of a user that is being erased; registration rejects it (RFC 2606)
IS_BEING_ERASED = User.email.endswith(SUFFIX)


def begin_erasure(session: Session, user: User, *, actor_id: int | None, origin: RequestOrigin) -> Sequence[int]:
    """Remove the personal data from a user's own row and end all access; the caller commits.

    Returns the ids of the sessions that ended. The e-mail can be registered again at once.
    """
    credentials.revoke_all(session, user.id, actor_id=actor_id, origin=origin)
    ended = end_sessions(session, user.id)
    for model in (UserTotp, RecoveryCode):
        session.execute(sa.delete(model).where(model.user_id == user.id))
    user.email = secrets.token_hex(16) + SUFFIX
    user.password_hash, user.display_name, user.role = "", None, "user"
    user.unverified_since = None
    user.processing_restricted = True  # no one sees what is left until it is deleted
    return ended


def is_being_erased(user: User) -> bool:
    """Whether the erasure of a user has begun."""
    return user.email.endswith(SUFFIX)


def delete(session: Session, user_id: int) -> None:
    """Delete a user that is being erased and, through foreign keys, every row that belongs to it; the caller commits.

    SQLite assigns ids again: another user with the same id stays.
    """
    session.execute(sa.delete(User).where(User.id == user_id, IS_BEING_ERASED))
