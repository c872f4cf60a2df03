"""Rules and queries of user administration."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import erasure
from app.accounts.models import ROLES, User, UserSession
from app.accounts.service import LastAdmin, NoSuchUser, Suspended, end_sessions, lock_user
from app.audit import service as audit
from app.platform.api.pagination import CursorValue, newest_first, read_from_index
from app.platform.database.base import lock_sqlite, utc_now
from app.platform.security import credentials
from app.platform.security.passwords import hash_password
from app.platform.web.client_address import RequestOrigin


def users(
    session: Session,
    *,
    limit: int,
    cursor: CursorValue | None = None,
    email: str | None = None,
    role: str | None = None,
    suspended: bool | None = None,
) -> Sequence[User]:
    """Return up to `limit` + 1 users after the cursor, newest first, filtered by normal e-mail, role and suspension.

    Users that are being erased are left out.
    """
    query = sa.select(User).where(sa.not_(erasure.IS_BEING_ERASED))
    if email is not None:
        query = query.where(User.email == email)
    if role is not None:
        query = query.where(User.role == role)
    if role is not None and email is None:
        query = read_from_index(query, User, "ix_users_role_created_at_id")
    if suspended is not None:
        query = query.where(User.suspended_at.is_not(None) if suspended else User.suspended_at.is_(None))
    return session.scalars(newest_first(query, User.created_at, User.id, limit, cursor)).all()


def accept(_user: User) -> None:
    """Accept every user."""


def change_role(
    session: Session,
    user_id: int,
    role: str,
    *,
    origin: RequestOrigin,
    actor_id: int,
    check: Callable[[User], None] = accept,
) -> tuple[User, Sequence[int]]:
    """Change a user's role, end the user's sessions and return their ids: no token keeps the old role.

    `check` gets the locked user, and raises to reject the change. Raises `NoSuchUser` or `LastAdmin`.
    """
    lock_sqlite(session)
    user, is_last_admin = lock_user(session, user_id)
    check(user)
    if user.role == role:
        return user, ()
    if is_last_admin:
        raise LastAdmin
    old_role, user.role = user.role, role
    ended = end_sessions(session, user_id)
    _record(session, "user.role_changed", user_id, origin, actor_id, old=old_role, new=role)
    session.commit()
    return user, ended


def force_reset(session: Session, user_id: int, *, origin: RequestOrigin, actor_id: int) -> tuple[User, Sequence[int]]:
    """Replace a user's password with a random one, end the user's sessions and return their ids.

    API keys are revoked too. The user can sign in again only after setting a new password through the link of an
    e-mail. Raises `NoSuchUser`, or `Suspended`: a suspended user gets no e-mail.
    """
    random_hash = hash_password(secrets.token_urlsafe(32))
    user = session.get(User, user_id, with_for_update=True)
    if user is None or erasure.is_being_erased(user):
        session.rollback()
        raise NoSuchUser
    if user.suspended_at:
        session.rollback()
        raise Suspended
    user.password_hash = random_hash
    ended = end_sessions(session, user_id)
    credentials.revoke_all(session, user_id, actor_id=actor_id, origin=origin)
    _record(session, "user.password_reset_forced", user_id, origin, actor_id)
    session.commit()
    return user, ended


def statistics(session: Session) -> Mapping[str, int]:
    """Return the number of users of each role and of active sessions."""
    by_role = sa.select(User.role, sa.func.count()).group_by(User.role)
    users = dict(session.execute(by_role).all())
    active = sa.and_(UserSession.ended_at.is_(None), UserSession.expires_at > utc_now())
    sessions = session.scalar(sa.select(sa.func.count()).select_from(UserSession).where(active)) or 0
    return {**{f"users_{role}": users.get(role, 0) for role in ROLES}, "sessions": sessions}


def _record(session: Session, action: str, user_id: int, origin: RequestOrigin, actor_id: int, **details: str) -> None:
    audit.record(session, action, actor_id=actor_id, target=("user", user_id), origin=origin, **details)
