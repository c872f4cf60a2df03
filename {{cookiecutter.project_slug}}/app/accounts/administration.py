"""Rules and queries of accounts that are for admins."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import ROLES, User, UserSession
from app.accounts.service import end_sessions
from app.audit import service as audit
from app.database import now
from app.pagination import before
from app.security.passwords import hash_password


class NoSuchUser(Exception):
    """There is no user with this id."""


class LastAdmin(Exception):
    """There would be no admin left."""


def users(
    session: Session,
    *,
    limit: int,
    cursor: tuple[datetime, int] | None = None,
    email: str | None = None,
    role: str | None = None,
) -> Sequence[User]:
    """Up to `limit` + 1 users, newest first, from the cursor on; with one e-mail (in lower case), of one role."""
    query = sa.select(User)
    if email is not None:
        query = query.where(User.email == email)
    if role is not None:
        query = query.where(User.role == role)
    if cursor:
        query = query.where(before(User.created_at, User.id, cursor))
    return session.scalars(query.order_by(User.created_at.desc(), User.id.desc()).limit(limit + 1)).all()


def change_role(
    session: Session, user_id: int, role: str, *, origin: audit.Origin, actor_id: int
) -> tuple[User, Sequence[int]]:
    """Give a user another role, and end the user's sessions, whose ids are returned: no token keeps the old role.

    Raises `NoSuchUser` and `LastAdmin`.
    """
    user, is_last_admin = lock(session, user_id)
    if user.role == role:
        return user, ()
    if is_last_admin:
        raise LastAdmin
    old, user.role = user.role, role
    ended = end_sessions(session, user_id)
    _record(session, "user.role_changed", user_id, origin, actor_id, old=old, new=role)
    session.commit()
    return user, ended


def lock(session: Session, user_id: int) -> tuple[User, bool]:
    """A user, and whether there is no other admin; raises `NoSuchUser`.

    All admins are locked until the commit, so that of two who are demoted or leave at the same time one remains.
    """
    concerned = sa.select(User).where(sa.or_(User.id == user_id, User.role == "admin")).order_by(User.id)
    locked = session.scalars(concerned.with_for_update().execution_options(populate_existing=True)).all()
    user = next((user for user in locked if user.id == user_id), None)
    if user is None:
        raise NoSuchUser
    return user, user.role == "admin" and len(locked) == 1


def force_reset(session: Session, user_id: int, *, origin: audit.Origin, actor_id: int) -> tuple[User, Sequence[int]]:
    """Replace a password by one that nobody knows, and end the user's sessions, whose ids are returned.

    Raises `NoSuchUser`. Only a mail with a link to set a new password lets the user in again.
    """
    unknown = hash_password(secrets.token_urlsafe(32))
    user = session.get(User, user_id, with_for_update=True)
    if user is None:
        raise NoSuchUser
    user.password_hash = unknown
    ended = end_sessions(session, user_id)
    _record(session, "user.password_reset_forced", user_id, origin, actor_id)
    session.commit()
    return user, ended


def statistics(session: Session) -> Mapping[str, int]:
    """How many users there are by role, and how many sessions are alive."""
    roles: Any = session.execute(sa.select(User.role, sa.func.count()).group_by(User.role)).all()
    counts = dict(roles)
    alive = sa.and_(UserSession.ended_at.is_(None), UserSession.expires_at > now())
    living = session.scalar(sa.select(sa.func.count()).select_from(UserSession).where(alive)) or 0
    return {**{f"users_{role}": counts.get(role, 0) for role in ROLES}, "sessions": living}


def _record(session: Session, action: str, user_id: int, origin: audit.Origin, actor_id: int, **details: str) -> None:
    audit.record(session, action, actor_id=actor_id, target=("user", user_id), origin=origin, **details)
